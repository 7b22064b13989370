-- Macros over whole levels: the annotation cut at a depth, partitions, and the search.

-- name: annotation_cut
-- The whole annotation cut at a depth: a row for each structure there, for each branch that ends
-- above it, and for each structure above it whose own label voxels bear (is_assigned is false);
-- then one for labels that have no structure and one for the background: voxels sum to the volume.
CREATE OR REPLACE MACRO main.annotation_cut(_atlas, _depth) AS TABLE (
    WITH _m_given AS (
        SELECT _m_a.*, _m_asked._m_depth
        FROM (
            SELECT
                main.atlas_id(_m_args._m_atlas) AS _m_atlas_id,
                main.checked_depth(_m_args._m_atlas, _m_args._m_depth) AS _m_depth
            FROM (VALUES (_atlas, _depth)) AS _m_args (_m_atlas, _m_depth)
        ) AS _m_asked
        INNER JOIN main.atlas AS _m_a ON _m_a.atlas_id = _m_asked._m_atlas_id
    ),

    _m_piece AS (
        SELECT
            _m_s.structure_id,
            _m_s.acronym,
            _m_s.name,
            _m_s.depth,
            _m_s.rank,
            'inside' AS status,
            _m_s.depth = _m_given._m_depth OR _m_s.rank = _m_s.last_rank AS is_assigned,
            CASE
                WHEN _m_s.depth = _m_given._m_depth THEN _m_e.voxels
                ELSE _m_e.direct_voxels
            END AS voxels
        FROM _m_given
        INNER JOIN main.structure AS _m_s
            ON _m_s.atlas_id = _m_given.atlas_id AND _m_s.depth <= _m_given._m_depth
        INNER JOIN main.structure_extent AS _m_e
            ON
                _m_e.atlas_id = _m_s.atlas_id
                AND _m_e.structure_id = _m_s.structure_id
                AND _m_e.hemisphere = 'both'
        WHERE
            _m_s.depth = _m_given._m_depth
            OR _m_s.rank = _m_s.last_rank
            OR _m_e.direct_voxels > 0
    ),

    _m_labelled AS (
        SELECT
            coalesce(sum(_m_l.voxels), 0) AS _m_voxels,
            coalesce(sum(_m_l.voxels) FILTER (_m_l.structure_id IS NULL), 0) AS _m_unlabelled
        FROM main.label AS _m_l
        WHERE _m_l.atlas_id = (SELECT _m_given.atlas_id FROM _m_given)
    ),

    _m_row AS (
        SELECT * FROM _m_piece
        UNION ALL
        SELECT
            NULL, NULL, NULL, NULL, NULL, 'unlabelled', false,
            CAST(_m_labelled._m_unlabelled AS BIGINT)
        FROM _m_labelled
        UNION ALL
        SELECT
            NULL, NULL, NULL, NULL, NULL, 'background', false,
            CAST(
                CAST(_m_given.shape_ap AS BIGINT) * _m_given.shape_si * _m_given.shape_rl
                - _m_labelled._m_voxels AS BIGINT
            )
        FROM _m_given, _m_labelled
    )

    SELECT
        _m_row.*,
        _m_row.voxels
        * (
            _m_given.resolution_ap_um * _m_given.resolution_si_um * _m_given.resolution_rl_um / 1e9
        ) AS volume_mm3
    FROM _m_row, _m_given
    ORDER BY _m_row.rank NULLS LAST, _m_row.status DESC
);

-- name: partition_check
-- What keeps a list of structures from tiling a structure, a row for each fault, none if it does:
-- 'outside' (a part that is not in it), 'overlap' (a part inside another, or named twice), 'gap' (a
-- subtree in no part) and 'unassigned' (own voxels of a structure above parts). The arguments are
-- constants, parameters or subqueries, not columns.
CREATE OR REPLACE MACRO main.partition_check(_atlas, _structure, _parts) AS TABLE (
    WITH _m_args AS (
        FROM (VALUES (_atlas, _structure, _parts)) AS _m_given (_m_atlas, _m_structure, _m_parts)
        WHERE CASE
            WHEN
                _m_given._m_structure IS NULL
                OR _m_given._m_parts IS NULL
                OR list_contains(list_transform(_m_given._m_parts, lambda _m_p: _m_p IS NULL), true)
                THEN error(
                    'partition_check needs a structure and a list of parts: NULL is neither'
                )
            ELSE true
        END
    ),

    _m_whole AS (
        SELECT main.structure_of(_m_args._m_atlas, _m_args._m_structure) AS _m_of FROM _m_args
    ),

    _m_part AS (
        SELECT
            main.structure_of(_m_named._m_atlas, _m_named._m_name) AS _m_of,
            _m_named._m_number
        FROM (
            SELECT
                _m_args._m_atlas,
                unnest(_m_args._m_parts) AS _m_name,
                generate_subscripts(_m_args._m_parts, 1) AS _m_number
            FROM _m_args
        ) AS _m_named
    ),

    _m_inside AS (
        SELECT
            _m_s.structure_id,
            _m_s.acronym,
            _m_s.name,
            _m_s.rank,
            _m_s.parent_id,
            _m_s.structure_id = _m_whole._m_of.structure_id AS _m_is_whole,
            _m_e.voxels,
            _m_e.direct_voxels,
            EXISTS (
                SELECT 1 FROM _m_part
                WHERE _m_s.rank BETWEEN _m_part._m_of.rank AND _m_part._m_of.last_rank
            ) AS _m_is_covered,
            EXISTS (
                SELECT 1 FROM _m_part
                WHERE _m_part._m_of.rank BETWEEN _m_s.rank AND _m_s.last_rank
            ) AS _m_is_touched
        FROM _m_whole
        INNER JOIN main.structure AS _m_s
            ON
                _m_s.atlas_id = _m_whole._m_of.atlas_id
                AND _m_s.rank BETWEEN _m_whole._m_of.rank AND _m_whole._m_of.last_rank
        INNER JOIN main.structure_extent AS _m_e
            ON
                _m_e.atlas_id = _m_s.atlas_id
                AND _m_e.structure_id = _m_s.structure_id
                AND _m_e.hemisphere = 'both'
    ),

    _m_fault AS (
        SELECT
            CASE
                WHEN _m_inside._m_is_touched THEN 'unassigned'
                ELSE 'gap'
            END AS fault,
            _m_inside.structure_id,
            _m_inside.acronym,
            _m_inside.name,
            _m_inside.rank,
            NULL AS within_id,
            CASE
                WHEN _m_inside._m_is_touched THEN _m_inside.direct_voxels
                ELSE _m_inside.voxels
            END AS voxels
        FROM _m_inside
        LEFT JOIN _m_inside AS _m_above ON _m_above.structure_id = _m_inside.parent_id
        WHERE
            NOT _m_inside._m_is_covered
            AND CASE
                WHEN _m_inside._m_is_touched THEN _m_inside.direct_voxels > 0
                ELSE _m_inside._m_is_whole OR _m_above._m_is_touched
            END
        UNION ALL
        SELECT
            'overlap',
            _m_part._m_of.structure_id,
            _m_part._m_of.acronym,
            _m_part._m_of.name,
            _m_part._m_of.rank,
            _m_around._m_of.structure_id,
            _m_e.voxels
        FROM _m_part
        INNER JOIN _m_part AS _m_around
            ON
                _m_part._m_of.rank BETWEEN _m_around._m_of.rank AND _m_around._m_of.last_rank
                AND (
                    _m_part._m_of.rank <> _m_around._m_of.rank
                    OR _m_part._m_number > _m_around._m_number
                )
        INNER JOIN main.structure_extent AS _m_e
            ON
                _m_e.atlas_id = _m_part._m_of.atlas_id
                AND _m_e.structure_id = _m_part._m_of.structure_id
                AND _m_e.hemisphere = 'both'
        UNION ALL
        SELECT
            'outside',
            _m_part._m_of.structure_id,
            _m_part._m_of.acronym,
            _m_part._m_of.name,
            _m_part._m_of.rank,
            NULL,
            _m_e.voxels
        FROM _m_part
        INNER JOIN _m_whole
            ON
                _m_part._m_of.rank
                NOT BETWEEN _m_whole._m_of.rank AND _m_whole._m_of.last_rank
        INNER JOIN main.structure_extent AS _m_e
            ON
                _m_e.atlas_id = _m_part._m_of.atlas_id
                AND _m_e.structure_id = _m_part._m_of.structure_id
                AND _m_e.hemisphere = 'both'
    )

    SELECT * FROM _m_fault
    ORDER BY _m_fault.rank, _m_fault.fault, _m_fault.within_id
);

-- name: search_structures
-- The structures whose acronym, name or id is like a text, best first, in one atlas or in all.
-- Case and accents do not matter; words may be cut short, in any order, and misspelt by a letter
-- (from four letters on) or two (from eight on); words that are merely alike come last.
CREATE OR REPLACE MACRO main.search_structures(_text, atlas := '') AS TABLE (
    WITH _m_args AS (
        SELECT
            trim(CAST(_m_given._m_text AS VARCHAR)) AS _m_text,
            lower(strip_accents(trim(CAST(_m_given._m_text AS VARCHAR)))) AS _m_lower,
            (
                SELECT any_value(main.atlas_id(_m_one._m_atlas))
                FROM (SELECT _m_given._m_atlas) AS _m_one
                WHERE CAST(_m_one._m_atlas AS VARCHAR) IS DISTINCT FROM ''
            ) AS _m_atlas_id
        FROM (VALUES (_text, atlas)) AS _m_given (_m_text, _m_atlas)
    ),

    _m_asked AS (
        SELECT
            _m_args.*,
            list_filter(
                regexp_split_to_array(_m_args._m_lower, '[^\pL\pN]+'),
                lambda _m_w: _m_w <> ''
            ) AS _m_words
        FROM _m_args
    ),

    _m_candidate AS (
        SELECT
            concat(_m_a.name, '@', _m_a.version) AS atlas,
            _m_s.structure_id,
            _m_s.acronym,
            _m_s.name,
            _m_s.depth,
            _m_s.rank,
            _m_asked._m_text,
            _m_asked._m_lower,
            lower(strip_accents(_m_s.acronym)) AS _m_acronym,
            lower(strip_accents(_m_s.name)) AS _m_name,
            list_sum(
                list_transform(
                    _m_asked._m_words,
                    lambda _m_w: list_min(
                        list_transform(
                            regexp_split_to_array(lower(strip_accents(_m_s.name)), '[^\pL\pN]+'),
                            lambda _m_n: CASE
                                WHEN starts_with(_m_n, _m_w) THEN 0
                                WHEN damerau_levenshtein(_m_n, _m_w)
                                    <= least(length(_m_w) // 4, 2)
                                    THEN damerau_levenshtein(_m_n, _m_w)
                            END
                        )
                    )
                )
            ) AS _m_edits,
            len(
                list_filter(
                    _m_asked._m_words,
                    lambda _m_w: list_any_value(
                        list_filter(
                            regexp_split_to_array(lower(strip_accents(_m_s.name)), '[^\pL\pN]+'),
                            lambda _m_n: starts_with(_m_n, _m_w)
                            OR damerau_levenshtein(_m_n, _m_w) <= least(length(_m_w) // 4, 2)
                        )
                    ) IS NULL
                )
            ) AS _m_missing,
            list_min(
                list_transform(
                    _m_asked._m_words,
                    lambda _m_w: list_max(
                        list_transform(
                            regexp_split_to_array(lower(strip_accents(_m_s.name)), '[^\pL\pN]+'),
                            lambda _m_n: 1 - damerau_levenshtein(_m_n, _m_w) / length(_m_w)
                        )
                    )
                )
            ) AS _m_likeness
        FROM _m_asked
        INNER JOIN main.structure AS _m_s
            ON _m_s.atlas_id = _m_asked._m_atlas_id OR _m_asked._m_atlas_id IS NULL
        INNER JOIN main.atlas AS _m_a ON _m_a.atlas_id = _m_s.atlas_id
        WHERE _m_asked._m_lower <> ''
    ),

    _m_scored AS (
        SELECT
            *,
            CASE
                WHEN _m_candidate.acronym = _m_candidate._m_text THEN 1.0
                WHEN CAST(_m_candidate.structure_id AS VARCHAR) = _m_candidate._m_text THEN 0.95
                WHEN _m_candidate._m_acronym = _m_candidate._m_lower THEN 0.9
                WHEN _m_candidate._m_name = _m_candidate._m_lower THEN 0.85
                WHEN starts_with(_m_candidate._m_name, _m_candidate._m_lower) THEN 0.8
                WHEN starts_with(_m_candidate._m_acronym, _m_candidate._m_lower) THEN 0.75
                WHEN contains(_m_candidate._m_name, ' ' || _m_candidate._m_lower) THEN 0.7
                WHEN _m_candidate._m_missing = 0 AND _m_candidate._m_edits = 0 THEN 0.6
                WHEN contains(_m_candidate._m_name, _m_candidate._m_lower) THEN 0.5
                WHEN _m_candidate._m_missing = 0 THEN 0.5 - 0.05 * _m_candidate._m_edits
                WHEN
                    damerau_levenshtein(_m_candidate._m_acronym, _m_candidate._m_lower) = 1
                    AND length(_m_candidate._m_lower) >= 4
                    THEN 0.3
                WHEN _m_candidate._m_likeness >= 0.7
                    THEN 0.2 * _m_candidate._m_likeness
            END AS score
        FROM _m_candidate
    )

    SELECT
        _m_scored.atlas,
        _m_scored.structure_id,
        _m_scored.acronym,
        _m_scored.name,
        _m_scored.depth,
        CAST(_m_scored.score AS DOUBLE) AS score
    FROM _m_scored
    WHERE _m_scored.score IS NOT NULL
    ORDER BY
        _m_scored.score DESC, length(_m_scored.name), _m_scored.atlas, _m_scored.rank
);
