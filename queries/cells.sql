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
