-- What rows owe each other. Each statement gives the number of rows that break its rule, and one of
-- them as text. Asked before a writing session's changes are taken over.

-- name: atlas_is_named
-- An atlas has a name with its resolution, such as allen_mouse_100um, and a version MAJOR.MINOR, which
-- it shares with no other.
SELECT count(*) AS broken, any_value(concat(a.name, '@', a.version)) AS example
FROM main.atlas AS a
WHERE
    NOT regexp_full_match(a.name, '[A-Za-z0-9][A-Za-z0-9_.-]*_\d+(\.\d+)?(nm|um|mm)')
    OR contains(a.name, '..')
    OR length(a.name) > 200
    OR a.version <> concat(a.version_major, '.', a.version_minor)
    OR (
        SELECT count(*) FROM main.atlas AS b
        WHERE lower(b.name) = lower(a.name) AND (b.version = a.version OR b.name <> a.name)
    ) > 1;

-- name: atlas_exists
-- Every row belongs to an atlas that is there.
SELECT count(*) AS broken, any_value(concat(r.place, ' of atlas_id ', r.atlas_id)) AS example
FROM (
    SELECT atlas_id, 'structure' AS place FROM main.structure
    UNION ALL
    SELECT atlas_id, 'structure_closure' FROM main.structure_closure
    UNION ALL
    SELECT atlas_id, 'structure_extent' FROM main.structure_extent
    UNION ALL
    SELECT atlas_id, 'label' FROM main.label
    UNION ALL
    SELECT DISTINCT atlas_id, 'annotation_run' FROM main.annotation_run
    UNION ALL
    SELECT atlas_id, 'volume' FROM main.volume
    UNION ALL
    SELECT atlas_id, 'mesh' FROM main.mesh
    UNION ALL
    SELECT atlas_id, 'finding' FROM main.finding
    UNION ALL
    SELECT atlas_id, 'cell_table' FROM main.cell_table
) AS r
ANTI JOIN main.atlas AS a ON a.atlas_id = r.atlas_id;

-- name: structure_exists
-- Every row about a structure is about one that is there.
SELECT count(*) AS broken, any_value(concat(r.place, ' of structure_id ', r.structure_id)) AS example
FROM (
    SELECT atlas_id, parent_id AS structure_id, 'structure' AS place FROM main.structure
    UNION ALL
    SELECT atlas_id, root_id, 'atlas' FROM main.atlas
    UNION ALL
    SELECT atlas_id, structure_id, 'structure_extent' FROM main.structure_extent
    UNION ALL
    SELECT atlas_id, structure_id, 'label' FROM main.label
    UNION ALL
    SELECT atlas_id, structure_id, 'mesh' FROM main.mesh
    UNION ALL
    SELECT atlas_id, structure_id, 'finding' FROM main.finding
) AS r
ANTI JOIN main.structure AS s
    ON s.atlas_id = r.atlas_id AND s.structure_id = r.structure_id
WHERE r.structure_id IS NOT NULL;

-- name: one_root
-- Every atlas has one structure without a parent, its root, of depth 0 and rank 1.
SELECT count(*) AS broken, any_value(concat(a.name, '@', a.version)) AS example
FROM main.atlas AS a
WHERE (
    SELECT count(*) <> 1 OR any_value(s.structure_id) <> a.root_id
        OR any_value(s.depth) <> 0 OR any_value(s.rank) <> 1
    FROM main.structure AS s
    WHERE s.atlas_id = a.atlas_id AND s.parent_id IS NULL
);

-- name: below_parent
-- A structure is one step below its parent, and its ranks are among its parent's.
SELECT count(*) AS broken, any_value(s.acronym) AS example
FROM main.structure AS s
INNER JOIN main.structure AS p
    ON p.atlas_id = s.atlas_id AND p.structure_id = s.parent_id
WHERE s.depth <> p.depth + 1 OR s.rank <= p.rank OR s.last_rank > p.last_rank;

-- name: ranks_are_dense
-- Ranks are 1, 2, … without gaps, and a subtree ends where its last structure stands.
SELECT count(*) AS broken, any_value(s.acronym) AS example
FROM (
    SELECT
        t.acronym,
        t.rank <> row_number() OVER (PARTITION BY t.atlas_id ORDER BY t.rank) AS is_displaced,
        t.last_rank - t.rank + 1 <> (
            SELECT count(*) FROM main.structure_closure AS c
            WHERE c.atlas_id = t.atlas_id AND c.ancestor_id = t.structure_id
        ) AS is_wrong
    FROM main.structure AS t
) AS s
WHERE s.is_displaced OR s.is_wrong;

-- name: closure_is_ranks
-- The closure holds the pairs of an ancestor and a descendant that ranks give, with their distance.
SELECT count(*) AS broken, any_value(concat(c.ancestor_id, ' over ', c.descendant_id)) AS example
FROM main.structure_closure AS c
LEFT JOIN main.structure AS a
    ON a.atlas_id = c.atlas_id AND a.structure_id = c.ancestor_id
LEFT JOIN main.structure AS d
    ON d.atlas_id = c.atlas_id AND d.structure_id = c.descendant_id
WHERE
    (d.rank BETWEEN a.rank AND a.last_rank AND c.distance = d.depth - a.depth) IS NOT TRUE;

-- name: path_is_closure
-- A structure's path is its ancestors' acronyms and its own, from the root.
SELECT count(*) AS broken, any_value(s.acronym) AS example
FROM main.structure AS s
LEFT JOIN (
    SELECT
        c.atlas_id,
        c.descendant_id AS structure_id,
        list(a.acronym ORDER BY c.distance DESC) AS path
    FROM main.structure_closure AS c
    INNER JOIN main.structure AS a
        ON a.atlas_id = c.atlas_id AND a.structure_id = c.ancestor_id
    GROUP BY c.atlas_id, c.descendant_id
) AS line ON line.atlas_id = s.atlas_id AND line.structure_id = s.structure_id
WHERE s.path IS DISTINCT FROM line.path;

-- name: extents_are_sums
-- A structure has an extent for 'left', 'right' and 'both', whose voxels are its subtree's.
SELECT count(*) AS broken, any_value(s.acronym) AS example
FROM (
    SELECT
        t.acronym,
        h.hemisphere,
        e.voxels,
        (
            SELECT sum(o.direct_voxels)
            FROM main.structure_closure AS c
            INNER JOIN main.structure_extent AS o
                ON o.atlas_id = c.atlas_id AND o.structure_id = c.descendant_id
            WHERE
                c.atlas_id = t.atlas_id
                AND c.ancestor_id = t.structure_id
                AND o.hemisphere = h.hemisphere
        ) AS expected
    FROM main.structure AS t
    CROSS JOIN (VALUES ('left'), ('right'), ('both')) AS h (hemisphere)
    LEFT JOIN main.structure_extent AS e
        ON
            e.atlas_id = t.atlas_id
            AND e.structure_id = t.structure_id
            AND e.hemisphere = h.hemisphere
) AS s
WHERE s.voxels IS DISTINCT FROM s.expected;

-- name: sides_are_parts
-- The voxels of 'left' and 'right' are among those of 'both', and volumes are voxels times their size.
SELECT count(*) AS broken, any_value(concat(b.structure_id)) AS example
FROM main.structure_extent AS b
INNER JOIN main.atlas AS a ON a.atlas_id = b.atlas_id
LEFT JOIN main.structure_extent AS l
    ON l.atlas_id = b.atlas_id AND l.structure_id = b.structure_id AND l.hemisphere = 'left'
LEFT JOIN main.structure_extent AS r
    ON r.atlas_id = b.atlas_id AND r.structure_id = b.structure_id AND r.hemisphere = 'right'
WHERE
    (b.hemisphere = 'both' AND b.direct_voxels < l.direct_voxels + r.direct_voxels)
    OR abs(
        b.volume_mm3
        - b.voxels * a.resolution_ap_um * a.resolution_si_um * a.resolution_rl_um / 1e9
    ) > 1e-9 * b.volume_mm3;

-- name: labels_are_structures
-- A label that a structure has bears its rank and its own voxels; one that none has a rank past all.
SELECT count(*) AS broken, any_value(concat('label ', l.value)) AS example
FROM main.label AS l
LEFT JOIN main.structure AS s
    ON s.atlas_id = l.atlas_id AND s.structure_id = l.structure_id
LEFT JOIN main.structure_extent AS e
    ON
        e.atlas_id = l.atlas_id
        AND e.structure_id = l.structure_id
        AND e.hemisphere = 'both'
WHERE
    CASE
        WHEN l.structure_id IS NOT NULL THEN l.rank <> s.rank OR l.voxels <> e.direct_voxels
        ELSE l.rank <= (SELECT max(t.rank) FROM main.structure AS t WHERE t.atlas_id = l.atlas_id)
    END;

-- name: labels_are_values
-- A label belongs to the structure whose value it is, and to none if it is no structure's value.
SELECT count(*) AS broken, any_value(concat('label ', l.value)) AS example
FROM main.label AS l
LEFT JOIN main.structure AS s
    ON s.atlas_id = l.atlas_id AND s.label_value = l.value
WHERE s.structure_id IS DISTINCT FROM l.structure_id;

-- name: label_values_are_distinct
-- No two structures of an atlas stand for one value of its annotation, and none for the background's 0.
SELECT count(*) AS broken, any_value(s.acronym) AS example
FROM main.structure AS s
WHERE
    s.label_value = 0
    OR (
        SELECT count(*) FROM main.structure AS t
        WHERE t.atlas_id = s.atlas_id AND t.label_value = s.label_value
    ) > 1;

-- name: structures_are_labels
-- A structure that has voxels of its own has a label.
SELECT count(*) AS broken, any_value(concat(e.structure_id)) AS example
FROM main.structure_extent AS e
ANTI JOIN main.label AS l
    ON l.atlas_id = e.atlas_id AND l.structure_id = e.structure_id
WHERE e.hemisphere = 'both' AND e.direct_voxels > 0;

-- name: runs_are_labels
-- The runs of an atlas bear the ranks of its labels, all of them, or 0.
SELECT count(*) AS broken, any_value(concat('rank ', coalesce(r.rank, l.rank))) AS example
FROM (SELECT DISTINCT x.atlas_id, x.rank FROM main.annotation_run AS x WHERE x.rank <> 0) AS r
FULL JOIN main.label AS l ON l.atlas_id = r.atlas_id AND l.rank = r.rank
WHERE r.rank IS NULL OR l.rank IS NULL;

-- name: volumes_exist
-- An atlas has an annotation and its ranks, of its own shape.
SELECT count(*) AS broken, any_value(concat(a.name, '@', a.version)) AS example
FROM main.atlas AS a
WHERE (
    SELECT count(*) FROM main.volume AS v
    WHERE
        v.atlas_id = a.atlas_id
        AND v.kind IN ('annotation', 'ranks')
        AND v.shape_ap = a.shape_ap
        AND v.shape_si = a.shape_si
        AND v.shape_rl = a.shape_rl
) <> 2;

-- name: colours_are_bytes
-- Colours are numbers from 0 to 255.
SELECT count(*) AS broken, any_value(s.acronym) AS example
FROM main.structure AS s
WHERE least(s.red, s.green, s.blue) < 0 OR greatest(s.red, s.green, s.blue) > 255;
