-- Tables of cells joined with an atlas.

-- name: cells_per_region
-- Cells of every structure with its descendants, by hemisphere, with density; then those that are in
-- no structure. direct_cells sums to all rows of the table: no cell is dropped. The density is per
-- volume of the atlas, not of any brain.
-- $points points: a table's name, or a file with columns ap_um, si_um, rl_um in microns
-- $atlas atlas: NAME or NAME@VERSION
WITH counted AS (
    SELECT structure_id, hemisphere, status, count(*) AS cells
    FROM label_points($points, $atlas)
    GROUP BY structure_id, hemisphere, status
),

place AS (
    SELECT
        r.rank,
        r.structure_id,
        r.acronym,
        r.name,
        r.depth,
        'inside' AS status,
        sum(c.cells) AS cells,
        coalesce(sum(c.cells) FILTER (c.hemisphere = 'left'), 0) AS cells_left,
        coalesce(sum(c.cells) FILTER (c.hemisphere = 'right'), 0) AS cells_right,
        coalesce(sum(c.cells) FILTER (c.structure_id = r.structure_id), 0) AS direct_cells,
        any_value(r.volume_mm3) AS atlas_volume_mm3
    FROM counted AS c
    INNER JOIN main.structure_closure AS x
        ON x.atlas_id = atlas_id($atlas) AND x.descendant_id = c.structure_id
    INNER JOIN all_atlases.region AS r
        ON r.atlas_id = atlas_id($atlas) AND r.structure_id = x.ancestor_id
    GROUP BY r.rank, r.structure_id, r.acronym, r.name, r.depth
    UNION ALL
    SELECT
        NULL, NULL, NULL, NULL, NULL, s.status,
        coalesce(sum(c.cells), 0), NULL, NULL, coalesce(sum(c.cells), 0), NULL
    FROM (VALUES ('unlabelled'), ('background'), ('outside')) AS s (status)
    LEFT JOIN counted AS c ON c.status = s.status
    GROUP BY s.status
)

SELECT
    structure_id,
    acronym,
    name,
    depth,
    status,
    CAST(cells AS BIGINT) AS cells,
    CAST(cells_left AS BIGINT) AS cells_left,
    CAST(cells_right AS BIGINT) AS cells_right,
    CAST(direct_cells AS BIGINT) AS direct_cells,
    atlas_volume_mm3,
    cells / nullif(atlas_volume_mm3, 0) AS density_per_atlas_mm3
FROM place
ORDER BY rank NULLS LAST, status DESC;

-- name: cells_per_structure
-- Cells of a registered table in every structure that has any, with those of its ancestors, by
-- hemisphere; then those in no structure. direct_cells sums to all rows.
-- $cells cells: a registered table
WITH counted AS (
    SELECT atlas_id, structure_id, hemisphere, status, count(*) AS cells
    FROM query_table($cells)
    GROUP BY ALL
),

place AS (
    SELECT
        r.rank,
        r.structure_id,
        r.acronym,
        r.name,
        r.depth,
        'inside' AS status,
        sum(c.cells) AS cells,
        coalesce(sum(c.cells) FILTER (c.hemisphere = 'left'), 0) AS cells_left,
        coalesce(sum(c.cells) FILTER (c.hemisphere = 'right'), 0) AS cells_right,
        coalesce(sum(c.cells) FILTER (c.structure_id = r.structure_id), 0) AS direct_cells
    FROM counted AS c
    INNER JOIN main.structure_closure AS x
        ON x.atlas_id = c.atlas_id AND x.descendant_id = c.structure_id
    INNER JOIN all_atlases.structure AS r
        ON r.atlas_id = x.atlas_id AND r.structure_id = x.ancestor_id
    GROUP BY r.rank, r.structure_id, r.acronym, r.name, r.depth
    UNION ALL
    SELECT
        NULL, NULL, NULL, NULL, NULL, s.status,
        coalesce(sum(c.cells), 0), NULL, NULL, coalesce(sum(c.cells), 0)
    FROM (VALUES ('unlabelled'), ('background'), ('outside')) AS s (status)
    LEFT JOIN counted AS c ON c.status = s.status
    GROUP BY s.status
)

SELECT
    structure_id,
    acronym,
    name,
    depth,
    status,
    CAST(cells AS BIGINT) AS cells,
    CAST(cells_left AS BIGINT) AS cells_left,
    CAST(cells_right AS BIGINT) AS cells_right,
    CAST(direct_cells AS BIGINT) AS direct_cells
FROM place
ORDER BY rank NULLS LAST, status DESC;

-- name: cells_per_sample
-- Cells of a registered table by the values of one of its columns and by structure, with those of
-- its ancestors; then those in no structure. direct_cells sums to all rows.
-- $cells cells: a registered table
-- $by text: the column, such as the animal
WITH row_of AS (
    SELECT struct_pack(*COLUMNS(*)) AS _row FROM query_table($cells)
),

counted AS (
    SELECT
        struct_extract(_row, $by) AS sample,
        _row.atlas_id AS atlas_id,
        _row.structure_id AS structure_id,
        _row.status AS status,
        count(*) AS cells
    FROM row_of
    GROUP BY ALL
)

SELECT
    c.sample,
    r.structure_id,
    r.acronym,
    c.status,
    CAST(sum(c.cells) AS BIGINT) AS cells,
    CAST(
        sum(CASE WHEN c.structure_id IS NOT DISTINCT FROM r.structure_id THEN c.cells ELSE 0 END)
        AS BIGINT
    ) AS direct_cells
FROM counted AS c
LEFT JOIN main.structure_closure AS x
    ON x.atlas_id = c.atlas_id AND x.descendant_id = c.structure_id
LEFT JOIN main.structure AS r
    ON r.atlas_id = x.atlas_id AND r.structure_id = x.ancestor_id
GROUP BY c.sample, r.structure_id, r.acronym, r.rank, c.status
ORDER BY c.sample, r.rank NULLS LAST, c.status DESC;

-- name: cell_densities
-- Cells of a registered table per mm3 of the atlas, in every structure and both hemispheres; NULL
-- for structures without volume.
-- $cells cells: a registered table
-- $under structure = NULL: within this structure only
WITH counted AS (
    SELECT atlas_id, structure_id, count(*) AS cells
    FROM query_table($cells)
    WHERE structure_id IS NOT NULL
    GROUP BY ALL
),

summed AS (
    SELECT x.ancestor_id AS structure_id, sum(c.cells) AS cells
    FROM counted AS c
    INNER JOIN main.structure_closure AS x
        ON x.atlas_id = c.atlas_id AND x.descendant_id = c.structure_id
    GROUP BY x.ancestor_id
),

pinned AS (
    SELECT t.atlas_id FROM main.cell_table AS t WHERE concat('cells.', t.name) = $cells
)

SELECT
    r.structure_id,
    r.acronym,
    r.name,
    CAST(coalesce(s.cells, 0) AS BIGINT) AS cells,
    r.volume_mm3 AS atlas_volume_mm3,
    coalesce(s.cells, 0) / nullif(r.volume_mm3, 0) AS density_per_atlas_mm3
FROM pinned
INNER JOIN all_atlases.region AS r ON r.atlas_id = pinned.atlas_id
LEFT JOIN summed AS s ON s.structure_id = r.structure_id
WHERE
    $under IS NULL OR EXISTS (
        SELECT 1 FROM main.structure_closure AS u
        WHERE
            u.atlas_id = pinned.atlas_id
            AND u.ancestor_id = $under
            AND u.descendant_id = r.structure_id
    )
ORDER BY r.rank;

-- name: top_structures
-- The structures that most cells of a registered table bear the label of, and their share of all
-- its rows.
-- $cells cells: a registered table
-- $limit integer = 10: how many
WITH counted AS (
    SELECT atlas_id, structure_id, count(*) AS cells
    FROM query_table($cells)
    GROUP BY ALL
)

SELECT
    r.structure_id,
    r.acronym,
    r.name,
    c.cells,
    c.cells / (SELECT sum(a.cells) FROM counted AS a) AS share
FROM counted AS c
INNER JOIN main.structure AS r ON r.atlas_id = c.atlas_id AND r.structure_id = c.structure_id
ORDER BY c.cells DESC, r.rank
LIMIT $limit;

-- name: cells_of_structure
-- The cells of a registered table in a structure or below it, with all their columns.
-- $cells cells: a registered table
-- $structure structure: an acronym or an id
SELECT c.*
FROM query_table($cells) AS c
WHERE EXISTS (
    SELECT 1 FROM main.structure_closure AS x
    WHERE
        x.atlas_id = c.atlas_id
        AND x.ancestor_id = $structure
        AND x.descendant_id = c.structure_id
);
