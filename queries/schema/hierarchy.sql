-- Macros over the hierarchies of all atlases. Made again after every migration.
--
-- An atlas is NAME (its highest version) or NAME@VERSION, as text, or its number, atlas_id. A
-- structure is an acronym, as text, or an id, as a number. Unknown ones call error(), which names
-- the nearest; NULL for a structure gives NULL, or no rows.
--
-- DuckDB substitutes a macro's arguments as text, so that a plain name would capture, or be
-- captured by, the columns of the query that calls it. Therefore parameters and aliases begin with
-- an underscore, and every argument is used once, in VALUES, where nothing but the caller's own
-- columns can be meant, and where unnest() and count(*) are refused instead of misunderstood.

-- name: is_number
-- Whether a value is of a numeric type, so that it can be an id and no name.
CREATE OR REPLACE MACRO main.is_number(_value) AS regexp_full_match(
    typeof(_value), 'U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*'
);

-- name: atlas_id
-- The number of an atlas: of NAME the highest version's, of NAME@VERSION that one's.
CREATE OR REPLACE MACRO main.atlas_id(_atlas) AS (
    SELECT CASE WHEN ${guard} THEN coalesce(
        arg_max(_m_a.atlas_id, (_m_a.version_major, _m_a.version_minor)) FILTER (
            _m_given._m_atlas IN (
                _m_a.name,
                concat(_m_a.name, '@', _m_a.version),
                CAST(_m_a.atlas_id AS VARCHAR)
            )
        ),
        error(concat(
            'no atlas ', coalesce(any_value(_m_given._m_atlas), 'NULL'), ' in this database',
            '; nearest: ' || array_to_string(
                arg_max(
                    concat(_m_a.name, '@', _m_a.version),
                    jaro_winkler_similarity(lower(_m_given._m_atlas), lower(_m_a.name)),
                    3
                ),
                ', '
            )
        ))
    ) END
    FROM (VALUES (CAST(_atlas AS VARCHAR))) AS _m_given (_m_atlas)
    LEFT JOIN main.atlas AS _m_a ON true
);

-- name: structure_of
-- A structure's row of table structure, as a STRUCT.
CREATE OR REPLACE MACRO main.structure_of(_atlas, _structure) AS (
    SELECT CASE
        WHEN _m_found._m_count = 1 THEN _m_found._m_row
        WHEN _m_found._m_structure IS NULL THEN NULL
        WHEN _m_found._m_count > 1 THEN error(concat(
            'acronym ', _m_found._m_structure, ' belongs to several structures of ',
            _m_found._m_atlas, ': ids ', array_to_string(_m_found._m_ids, ', '),
            '; name one by its id'
        ))
        ELSE error(concat(
            'no structure ', _m_found._m_structure, ' in ', _m_found._m_atlas,
            CASE
                WHEN _m_found._m_is_id OR NOT regexp_full_match(_m_found._m_structure, '\d+') THEN ''
                ELSE '; an id is a number, without quotes'
            END,
            '; did you mean ' || (
                SELECT array_to_string(
                    arg_max(
                        _m_near.acronym,
                        (
                            jaro_winkler_similarity(
                                lower(_m_near.acronym), lower(_m_found._m_structure)
                            ),
                            -_m_near.rank
                        ),
                        3
                    ),
                    ' or '
                )
                FROM main.structure AS _m_near
                WHERE
                    _m_near.atlas_id = _m_found._m_atlas_id
                    AND _m_found._m_count = 0
                    AND NOT _m_found._m_is_id
                    AND jaro_winkler_similarity(
                        lower(_m_near.acronym), lower(_m_found._m_structure)
                    ) > 0.8
            ) || '?'
        ))
    END
    FROM (
        SELECT
            any_value(CAST(_m_asked._m_structure AS VARCHAR)) AS _m_structure,
            any_value(main.is_number(_m_asked._m_structure)) AS _m_is_id,
            any_value(CAST(_m_asked._m_atlas AS VARCHAR)) AS _m_atlas,
            any_value(_m_asked._m_atlas_id) AS _m_atlas_id,
            count(_m_s.rank) AS _m_count,
            any_value(_m_s) AS _m_row,
            list(_m_s.structure_id ORDER BY _m_s.rank) AS _m_ids
        FROM (
            SELECT
                _m_given._m_atlas,
                main.atlas_id(_m_given._m_atlas) AS _m_atlas_id,
                _m_given._m_structure
            FROM (VALUES (_atlas, _structure)) AS _m_given (_m_atlas, _m_structure)
        ) AS _m_asked
        LEFT JOIN main.structure AS _m_s
            ON
                _m_s.atlas_id = _m_asked._m_atlas_id
                AND CASE
                    WHEN main.is_number(_m_asked._m_structure)
                        THEN CAST(_m_s.structure_id AS VARCHAR)
                    ELSE _m_s.acronym
                END = CASE
                    WHEN NOT main.is_number(_m_asked._m_structure)
                        THEN CAST(_m_asked._m_structure AS VARCHAR)
                    WHEN TRY_CAST(_m_asked._m_structure AS DOUBLE)
                        = CAST(TRY_CAST(_m_asked._m_structure AS BIGINT) AS DOUBLE)
                        THEN CAST(TRY_CAST(_m_asked._m_structure AS BIGINT) AS VARCHAR)
                END
    ) AS _m_found
);

-- name: structure_id_of
-- The id of a structure.
CREATE OR REPLACE MACRO main.structure_id_of(_atlas, _structure)
AS main.structure_of(_atlas, _structure).structure_id;

-- name: acronym_of
-- The acronym of a structure.
CREATE OR REPLACE MACRO main.acronym_of(_atlas, _structure)
AS main.structure_of(_atlas, _structure).acronym;

-- name: checked_depth
-- A depth, if the atlas has it: from 0, the root's, to the deepest structures'.
CREATE OR REPLACE MACRO main.checked_depth(_atlas, _depth) AS (
    SELECT CASE
        WHEN _m_found._m_depth IS NULL THEN NULL
        WHEN
            _m_found._m_number = _m_found._m_whole
            AND _m_found._m_whole BETWEEN 0 AND _m_found._m_height
            THEN _m_found._m_whole
        ELSE error(concat(
            'no depth ', _m_found._m_depth, ' in ', _m_found._m_atlas,
            ': the root has 0, the deepest structures ', _m_found._m_height
        ))
    END
    FROM (
        SELECT
            any_value(CAST(_m_asked._m_depth AS VARCHAR)) AS _m_depth,
            any_value(TRY_CAST(_m_asked._m_depth AS DOUBLE)) AS _m_number,
            any_value(TRY_CAST(_m_asked._m_depth AS INTEGER)) AS _m_whole,
            any_value(CAST(_m_asked._m_atlas AS VARCHAR)) AS _m_atlas,
            max(_m_s.depth) AS _m_height
        FROM (
            SELECT
                _m_given._m_atlas,
                main.atlas_id(_m_given._m_atlas) AS _m_atlas_id,
                _m_given._m_depth
            FROM (VALUES (_atlas, _depth)) AS _m_given (_m_atlas, _m_depth)
        ) AS _m_asked
        LEFT JOIN main.structure AS _m_s ON _m_s.atlas_id = _m_asked._m_atlas_id
    ) AS _m_found
);

-- name: subtree
-- A structure and its descendants, depth-first; distance is steps below it.
CREATE OR REPLACE MACRO main.subtree(_atlas, _structure) AS TABLE (
    SELECT
        _m_s.structure_id,
        _m_s.acronym,
        _m_s.name,
        _m_s.parent_id,
        _m_s.depth,
        _m_s.depth - _m_given._m_of.depth AS distance,
        _m_s.rank,
        _m_s.last_rank
    FROM (VALUES (main.structure_of(_atlas, _structure))) AS _m_given (_m_of)
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_given._m_of.atlas_id
            AND _m_s.rank BETWEEN _m_given._m_of.rank AND _m_given._m_of.last_rank
    ORDER BY _m_s.rank
);

-- name: descendants
-- The descendants of a structure, itself left out, depth-first; distance is steps below it.
CREATE OR REPLACE MACRO main.descendants(_atlas, _structure) AS TABLE (
    SELECT * FROM main.subtree(_atlas, _structure) AS _m_below
    WHERE _m_below.distance > 0
    ORDER BY _m_below.rank
);

-- name: children
-- The direct children of a structure, in the atlas's order.
CREATE OR REPLACE MACRO main.children(_atlas, _structure) AS TABLE (
    SELECT * EXCLUDE (distance) FROM main.subtree(_atlas, _structure) AS _m_below
    WHERE _m_below.distance = 1
    ORDER BY _m_below.rank
);

-- name: leaves
-- The structures without children in a structure's subtree, depth-first; of a leaf, itself.
CREATE OR REPLACE MACRO main.leaves(_atlas, _structure) AS TABLE (
    SELECT * FROM main.subtree(_atlas, _structure) AS _m_below
    WHERE _m_below.rank = _m_below.last_rank
    ORDER BY _m_below.rank
);

-- name: ancestors
-- The ancestors of a structure, itself left out, root first; distance is steps above it.
CREATE OR REPLACE MACRO main.ancestors(_atlas, _structure) AS TABLE (
    SELECT
        _m_s.structure_id,
        _m_s.acronym,
        _m_s.name,
        _m_s.parent_id,
        _m_s.depth,
        _m_given._m_of.depth - _m_s.depth AS distance,
        _m_s.rank,
        _m_s.last_rank
    FROM (VALUES (main.structure_of(_atlas, _structure))) AS _m_given (_m_of)
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_given._m_of.atlas_id
            AND _m_s.rank < _m_given._m_of.rank
            AND _m_s.last_rank >= _m_given._m_of.last_rank
    ORDER BY _m_s.rank
);

-- name: siblings
-- The other children of a structure's parent, in the atlas's order.
CREATE OR REPLACE MACRO main.siblings(_atlas, _structure) AS TABLE (
    SELECT
        _m_s.structure_id,
        _m_s.acronym,
        _m_s.name,
        _m_s.parent_id,
        _m_s.depth,
        _m_s.rank,
        _m_s.last_rank
    FROM (VALUES (main.structure_of(_atlas, _structure))) AS _m_given (_m_of)
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_given._m_of.atlas_id
            AND _m_s.parent_id = _m_given._m_of.parent_id
            AND _m_s.rank <> _m_given._m_of.rank
    ORDER BY _m_s.rank
);

-- name: structures_at_depth
-- The structures at a depth, depth-first, of the whole atlas or within one structure (under).
-- Branches that end above the depth are left out, or contribute their leaf (ragged := 'leaf').
CREATE OR REPLACE MACRO main.structures_at_depth(_atlas, _depth, under := '', ragged := 'omit')
AS TABLE (
    SELECT
        _m_s.structure_id,
        _m_s.acronym,
        _m_s.name,
        _m_s.parent_id,
        _m_s.depth,
        _m_s.rank,
        _m_s.last_rank
    FROM (
        SELECT
            main.structure_of(
                _m_asked._m_atlas,
                CASE
                    WHEN CAST(_m_asked._m_under AS VARCHAR) <> '' THEN _m_asked._m_under
                END
            ) AS _m_of,
            CAST(_m_asked._m_under AS VARCHAR) = '' AS _m_is_whole,
            main.atlas_id(_m_asked._m_atlas) AS _m_atlas_id,
            main.checked_depth(_m_asked._m_atlas, _m_asked._m_depth) AS _m_depth,
            CASE
                WHEN _m_asked._m_ragged IN ('omit', 'leaf') THEN _m_asked._m_ragged = 'leaf'
                ELSE error(concat(
                    'ragged is ''omit'' or ''leaf'', not ',
                    coalesce(CAST(_m_asked._m_ragged AS VARCHAR), 'NULL')
                ))
            END AS _m_with_leaves
        FROM (VALUES (_atlas, _depth, under, ragged))
            AS _m_asked (_m_atlas, _m_depth, _m_under, _m_ragged)
    ) AS _m_given
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_given._m_atlas_id
            AND (
                _m_s.depth = _m_given._m_depth
                OR (
                    _m_given._m_with_leaves
                    AND _m_s.depth < _m_given._m_depth
                    AND _m_s.rank = _m_s.last_rank
                )
            )
            AND (
                _m_given._m_is_whole
                OR _m_s.rank BETWEEN _m_given._m_of.rank AND _m_given._m_of.last_rank
            )
    ORDER BY _m_s.rank
);

-- name: ancestor_at_depth
-- The id of a structure's ancestor at a depth; a structure that ends above it gives itself.
CREATE OR REPLACE MACRO main.ancestor_at_depth(_atlas, _structure, _depth) AS (
    SELECT any_value(_m_c.ancestor_id)
    FROM (
        SELECT
            main.structure_of(_m_asked._m_atlas, _m_asked._m_structure) AS _m_of,
            main.checked_depth(_m_asked._m_atlas, _m_asked._m_depth) AS _m_depth
        FROM (VALUES (_atlas, _structure, _depth))
            AS _m_asked (_m_atlas, _m_structure, _m_depth)
    ) AS _m_given
    INNER JOIN main.structure_closure AS _m_c
        ON
            _m_c.atlas_id = _m_given._m_of.atlas_id
            AND _m_c.descendant_id = _m_given._m_of.structure_id
            AND _m_c.distance = greatest(_m_given._m_of.depth - _m_given._m_depth, 0)
    WHERE _m_given._m_depth IS NOT NULL
);

-- name: lowest_common_ancestor
-- The id of the deepest structure that contains two structures; it may be one of them.
CREATE OR REPLACE MACRO main.lowest_common_ancestor(_atlas, _structure, _other) AS (
    SELECT arg_max(_m_s.structure_id, _m_s.depth)
    FROM (
        SELECT
            main.structure_of(_m_asked._m_atlas, _m_asked._m_structure) AS _m_of,
            main.structure_of(_m_asked._m_atlas, _m_asked._m_other) AS _m_with
        FROM (VALUES (_atlas, _structure, _other))
            AS _m_asked (_m_atlas, _m_structure, _m_other)
    ) AS _m_given
    INNER JOIN main.structure_closure AS _m_c
        ON
            _m_c.atlas_id = _m_given._m_of.atlas_id
            AND _m_c.descendant_id = _m_given._m_of.structure_id
    INNER JOIN main.structure AS _m_s
        ON
            _m_s.atlas_id = _m_c.atlas_id
            AND _m_s.structure_id = _m_c.ancestor_id
            AND _m_s.rank <= _m_given._m_with.rank
            AND _m_s.last_rank >= _m_given._m_with.last_rank
);

-- name: is_descendant
-- Whether a structure is below another; a structure is no descendant of itself.
CREATE OR REPLACE MACRO main.is_descendant(_atlas, _structure, _ancestor) AS (
    SELECT
        _m_given._m_of.rank > _m_given._m_from.rank
        AND _m_given._m_of.rank <= _m_given._m_from.last_rank
    FROM (
        SELECT
            main.structure_of(_m_asked._m_atlas, _m_asked._m_structure) AS _m_of,
            main.structure_of(_m_asked._m_atlas, _m_asked._m_ancestor) AS _m_from
        FROM (VALUES (_atlas, _structure, _ancestor))
            AS _m_asked (_m_atlas, _m_structure, _m_ancestor)
    ) AS _m_given
);
