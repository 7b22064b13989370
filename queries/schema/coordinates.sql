-- Macros from coordinates to structures. Points are in microns along the axes of the volumes, from
-- anterior, superior and right; voxel i covers [i * r, (i + 1) * r), so that the index is
-- floor(point / r). NaN, infinities, NULL and the far face are outside.

-- name: run_at
-- The run of equal label in which a point lies, as a STRUCT; NULL outside the volume.
CREATE OR REPLACE MACRO main.run_at(_atlas, _ap_um, _si_um, _rl_um) AS (
    SELECT arg_max(
        {
            'atlas_id': _m_r.atlas_id,
            'rank': _m_r.rank,
            'hemisphere': _m_r.hemisphere
        },
        _m_r.start
    )
    FROM (
        SELECT
            _m_index.atlas_id,
            CASE
                WHEN
                    _m_index._m_ap >= 0 AND _m_index._m_ap < _m_index.shape_ap
                    AND _m_index._m_si >= 0 AND _m_index._m_si < _m_index.shape_si
                    THEN
                        CAST(_m_index._m_ap AS BIGINT) * _m_index.shape_si
                        + CAST(_m_index._m_si AS BIGINT)
                ELSE -1
            END AS _m_line,
            CASE
                WHEN _m_index._m_rl >= 0 AND _m_index._m_rl < _m_index.shape_rl
                    THEN CAST(_m_index._m_rl AS INTEGER)
                ELSE -1
            END AS _m_voxel
        FROM (
            SELECT
                _m_a.atlas_id,
                _m_a.shape_ap,
                _m_a.shape_si,
                _m_a.shape_rl,
                floor(_m_point._m_ap_um / _m_a.resolution_ap_um) AS _m_ap,
                floor(_m_point._m_si_um / _m_a.resolution_si_um) AS _m_si,
                floor(_m_point._m_rl_um / _m_a.resolution_rl_um) AS _m_rl
            FROM (
                SELECT
                    main.atlas_id(_m_given._m_atlas) AS _m_atlas_id,
                    CAST(_m_given._m_ap_um AS DOUBLE) AS _m_ap_um,
                    CAST(_m_given._m_si_um AS DOUBLE) AS _m_si_um,
                    CAST(_m_given._m_rl_um AS DOUBLE) AS _m_rl_um
                FROM (VALUES (_atlas, _ap_um, _si_um, _rl_um))
                    AS _m_given (_m_atlas, _m_ap_um, _m_si_um, _m_rl_um)
            ) AS _m_point
            INNER JOIN main.atlas AS _m_a ON _m_a.atlas_id = _m_point._m_atlas_id
        ) AS _m_index
    ) AS _m_at
    INNER JOIN main.annotation_run AS _m_r
        ON
            _m_r.atlas_id = _m_at.atlas_id
            AND _m_r.line = _m_at._m_line
            AND _m_r.start <= _m_at._m_voxel
);

-- name: structure_id_at
-- The id of the structure at a point in microns; NULL where there is none.
CREATE OR REPLACE MACRO main.structure_id_at(_atlas, _ap_um, _si_um, _rl_um) AS (
    SELECT any_value(_m_s.structure_id)
    FROM (VALUES (main.run_at(_atlas, _ap_um, _si_um, _rl_um))) AS _m_found (_m_run)
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_found._m_run.atlas_id
            AND _m_s.rank = _m_found._m_run.rank
);

-- name: acronym_at
-- The acronym of the structure at a point in microns; NULL where there is none.
CREATE OR REPLACE MACRO main.acronym_at(_atlas, _ap_um, _si_um, _rl_um) AS (
    SELECT any_value(_m_s.acronym)
    FROM (VALUES (main.run_at(_atlas, _ap_um, _si_um, _rl_um))) AS _m_found (_m_run)
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_found._m_run.atlas_id
            AND _m_s.rank = _m_found._m_run.rank
);

-- name: hemisphere_at
-- 'left' or 'right' for a point in microns; NULL where there is no structure.
CREATE OR REPLACE MACRO main.hemisphere_at(_atlas, _ap_um, _si_um, _rl_um) AS (
    SELECT any_value(_m_found._m_run.hemisphere)
    FROM (VALUES (main.run_at(_atlas, _ap_um, _si_um, _rl_um))) AS _m_found (_m_run)
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_found._m_run.atlas_id
            AND _m_s.rank = _m_found._m_run.rank
);

-- name: label_at
-- The annotation's raw value at a point in microns: 0 in the background, NULL outside the volume.
CREATE OR REPLACE MACRO main.label_at(_atlas, _ap_um, _si_um, _rl_um) AS (
    SELECT CASE WHEN _m_found._m_run.rank = 0 THEN 0 ELSE _m_l.value END
    FROM (VALUES (main.run_at(_atlas, _ap_um, _si_um, _rl_um))) AS _m_found (_m_run)
    LEFT JOIN main.label AS _m_l
        ON
            _m_l.atlas_id = _m_found._m_run.atlas_id
            AND _m_l.rank = _m_found._m_run.rank
);

-- name: status_at
-- What a point in microns is: 'inside' a structure, 'unlabelled' (in a label that has none),
-- 'background' (label 0) or 'outside' the volume.
CREATE OR REPLACE MACRO main.status_at(_atlas, _ap_um, _si_um, _rl_um) AS (
    SELECT CASE
        WHEN _m_found._m_run IS NULL THEN 'outside'
        WHEN _m_found._m_run.rank = 0 THEN 'background'
        WHEN _m_s.rank IS NULL THEN 'unlabelled'
        ELSE 'inside'
    END
    FROM (VALUES (main.run_at(_atlas, _ap_um, _si_um, _rl_um))) AS _m_found (_m_run)
    LEFT JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_found._m_run.atlas_id
            AND _m_s.rank = _m_found._m_run.rank
);

-- name: top_level_of
-- The columns of a STRUCT's type, given as text, without what is nested in them.
CREATE OR REPLACE MACRO main.top_level_of(_type) AS regexp_replace(
    regexp_replace(
        regexp_replace(
            regexp_replace(_type, '^STRUCT\((.*)\)$', '\1'), '\([^()]*\)', '', 'g'
        ),
        '\([^()]*\)', '', 'g'
    ),
    '\([^()]*\)', '', 'g'
);

-- name: label_points
-- A table or file of points with the structure at each: all rows and columns (ap_um, si_um, rl_um
-- in microns among them), and structure_id, acronym, hemisphere and status ('inside', 'unlabelled',
-- 'background', 'outside'). Rows come in no particular order.
CREATE OR REPLACE MACRO main.label_points(_points, _atlas) AS TABLE (
    -- The caller's row is one value from here on: none of its names can meet one of these.
    WITH _m_point AS (
        SELECT "_m_ the caller's row" AS _m_row
        FROM (SELECT * FROM query_table(_points)) AS "_m_ the caller's row"
    ),

    -- The cross join gives this one row a large estimate. DuckDB joins the runs by a nested loop,
    -- which takes minutes, where it expects few points, as it does of an Arrow table.
    _m_atlas AS MATERIALIZED (
        SELECT _m_a.*
        FROM (VALUES (_atlas)) AS _m_given (_m_atlas)
        INNER JOIN main.atlas AS _m_a ON _m_a.atlas_id = main.atlas_id(_m_given._m_atlas)
        CROSS JOIN (
            SELECT 1 FROM range(100000) AS _m_many (_m_number) WHERE _m_many._m_number = 0
        ) AS _m_one
        WHERE CASE
            WHEN regexp_matches(
                main.top_level_of(typeof((SELECT _m_point._m_row FROM _m_point LIMIT 0))),
                '(?i)(^|, )"?(structure_id|acronym|hemisphere|status)"? '
            )
                THEN error(
                    'label_points adds structure_id, acronym, hemisphere and status: rename or '
                    || 'leave out the columns of these names, which the points have already'
                )
            ELSE true
        END
    ),

    _m_run AS (
        SELECT
            _m_r.line * (SELECT _m_atlas.shape_rl FROM _m_atlas) + _m_r.start AS _m_first,
            _m_r.rank AS _m_rank,
            _m_r.hemisphere AS _m_hemisphere
        FROM main.annotation_run AS _m_r
        WHERE _m_r.atlas_id = (SELECT _m_atlas.atlas_id FROM _m_atlas)
    ),

    _m_structure AS (
        SELECT
            _m_s.rank AS _m_rank,
            _m_s.structure_id AS _m_structure_id,
            _m_s.acronym AS _m_acronym
        FROM main.structure AS _m_s
        WHERE _m_s.atlas_id = (SELECT _m_atlas.atlas_id FROM _m_atlas)
    ),

    _m_index AS (
        SELECT
            _m_point._m_row,
            floor(CAST(_m_point._m_row.ap_um AS DOUBLE) / _m_atlas.resolution_ap_um) AS _m_ap,
            floor(CAST(_m_point._m_row.si_um AS DOUBLE) / _m_atlas.resolution_si_um) AS _m_si,
            floor(CAST(_m_point._m_row.rl_um AS DOUBLE) / _m_atlas.resolution_rl_um) AS _m_rl,
            _m_atlas.shape_ap AS _m_shape_ap,
            _m_atlas.shape_si AS _m_shape_si,
            _m_atlas.shape_rl AS _m_shape_rl
        FROM _m_point, _m_atlas
    ),

    -- Outside is -1 and never NULL, and the join has no equality: DuckDB 1.5 would match the last
    -- run in either case.
    _m_voxel AS (
        SELECT
            _m_index._m_row,
            CASE
                WHEN
                    _m_index._m_ap >= 0 AND _m_index._m_ap < _m_index._m_shape_ap
                    AND _m_index._m_si >= 0 AND _m_index._m_si < _m_index._m_shape_si
                    AND _m_index._m_rl >= 0 AND _m_index._m_rl < _m_index._m_shape_rl
                    THEN (
                        CAST(_m_index._m_ap AS BIGINT) * _m_index._m_shape_si
                        + CAST(_m_index._m_si AS BIGINT)
                    ) * _m_index._m_shape_rl + CAST(_m_index._m_rl AS BIGINT)
                ELSE -1
            END AS _m_number
        FROM _m_index
    )

    SELECT
        _m_row.*,
        _m_structure._m_structure_id AS structure_id,
        _m_structure._m_acronym AS acronym,
        CASE
            WHEN _m_structure._m_structure_id IS NOT NULL THEN _m_run._m_hemisphere
        END AS hemisphere,
        CASE
            WHEN _m_voxel._m_number < 0 THEN 'outside'
            WHEN _m_run._m_rank = 0 THEN 'background'
            WHEN _m_structure._m_structure_id IS NULL THEN 'unlabelled'
            ELSE 'inside'
        END AS status
    FROM _m_voxel
    ASOF LEFT JOIN _m_run ON _m_voxel._m_number >= _m_run._m_first
    LEFT JOIN _m_structure ON _m_structure._m_rank = _m_run._m_rank
);
