-- What an atlas lacks.

-- name: without_mesh
-- The structures that have no mesh, with their volumes.
-- $atlas atlas: NAME or NAME@VERSION
SELECT r.structure_id, r.acronym, r.name, r.depth, r.volume_mm3
FROM all_atlases.region AS r
WHERE r.atlas_id = atlas_id($atlas) AND r.mesh_path IS NULL
ORDER BY r.rank;

-- name: without_voxels
-- The structures without voxels, neither their own nor their descendants'.
-- $atlas atlas: NAME or NAME@VERSION
SELECT r.structure_id, r.acronym, r.name, r.path_text
FROM all_atlases.region AS r
WHERE r.atlas_id = atlas_id($atlas) AND r.voxels = 0
ORDER BY r.rank;

-- name: labels_without_structure
-- The values in the annotation that no structure has, the most frequent first.
-- $atlas atlas: NAME or NAME@VERSION
SELECT l.value, l.voxels, 100 * l.voxels / sum(l.voxels) OVER () AS percent_of_unlabelled
FROM main.label AS l
WHERE l.atlas_id = atlas_id($atlas) AND l.structure_id IS NULL
ORDER BY l.voxels DESC, l.value;

-- name: duplicate_acronyms
-- Acronyms that several structures of one atlas bear; such a structure is named by its id.
-- $atlas atlas: NAME or NAME@VERSION
SELECT s.acronym, count(*) AS structures, list(s.structure_id ORDER BY s.rank) AS structure_ids
FROM main.structure AS s
WHERE s.atlas_id = atlas_id($atlas)
GROUP BY s.acronym
HAVING count(*) > 1
ORDER BY s.acronym;
