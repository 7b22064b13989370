-- Questions about the sizes of structures.

-- name: largest_leaves
-- The largest structures without children, by volume.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure = NULL: within which [default: the whole atlas]
-- $limit integer = 10: how many
SELECT r.structure_id, r.acronym, r.name, r.volume_mm3, r.path_text
FROM all_atlases.region AS r
INNER JOIN leaves(
    $atlas,
    coalesce($structure, (SELECT a.root_id FROM main.atlas AS a WHERE a.atlas_id = atlas_id($atlas)))
) AS l
    ON l.structure_id = r.structure_id
WHERE r.atlas_id = atlas_id($atlas)
ORDER BY r.volume_mm3 DESC, r.rank
LIMIT $limit;

-- name: fraction_of_parent
-- Every structure's volume as a fraction of its parent's and of the whole atlas's.
-- $atlas atlas: NAME or NAME@VERSION
SELECT
    r.structure_id,
    r.acronym,
    r.parent_acronym,
    r.volume_mm3,
    r.volume_mm3 / nullif(p.volume_mm3, 0) AS fraction_of_parent,
    r.volume_mm3 / nullif(root.volume_mm3, 0) AS fraction_of_root
FROM all_atlases.region AS r
INNER JOIN all_atlases.region AS p
    ON p.atlas_id = r.atlas_id AND p.structure_id = r.parent_id
INNER JOIN all_atlases.region AS root
    ON root.atlas_id = r.atlas_id AND root.rank = 1
WHERE r.atlas_id = atlas_id($atlas)
ORDER BY r.rank;

-- name: asymmetry
-- Left against right, the most asymmetric first: asymmetry is (left - right) / (left + right), from
-- -1 to 1. All of it is the annotation's own (how it was drawn and sampled) and none of it a
-- brain's: an atlas that was declared symmetric should show none, and one with an odd number of
-- voxels from right to left counts the middle plane as left.
-- $atlas atlas: NAME or NAME@VERSION
-- $least_voxels integer = 100: smaller structures are left out, for one voxel weighs much in them
SELECT
    r.structure_id,
    r.acronym,
    r.name,
    r.volume_left_mm3,
    r.volume_right_mm3,
    (r.voxels_left - r.voxels_right) / (r.voxels_left + r.voxels_right) AS asymmetry,
    a.symmetric AS declared_symmetric,
    a.shape_rl % 2 = 1 AS middle_plane_is_left
FROM all_atlases.region AS r
INNER JOIN main.atlas AS a ON a.atlas_id = r.atlas_id
WHERE
    r.atlas_id = atlas_id($atlas)
    AND r.voxels_left + r.voxels_right >= greatest($least_voxels, 1)
ORDER BY abs((r.voxels_left - r.voxels_right) / (r.voxels_left + r.voxels_right)) DESC, r.rank;

-- name: unassigned
-- The structures with children whose own label voxels bear: inside, but not assigned further.
-- $atlas atlas: NAME or NAME@VERSION
SELECT
    r.structure_id,
    r.acronym,
    r.name,
    r.direct_voxels,
    100 * r.direct_voxels / r.voxels AS percent_of_structure
FROM all_atlases.region AS r
WHERE r.atlas_id = atlas_id($atlas) AND NOT r.is_leaf AND r.direct_voxels > 0
ORDER BY r.direct_voxels DESC, r.rank;
