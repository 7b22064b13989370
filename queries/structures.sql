-- Questions about the hierarchy of one atlas.

-- name: tree
-- A structure and its descendants down to a depth, depth-first, with their colours.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure = NULL: the top [default: the root]
-- $depth integer = NULL: steps from the root [default: all]
SELECT s.* EXCLUDE (atlas_id, path)
FROM main.structure AS s
SEMI JOIN subtree(
    $atlas,
    coalesce($structure, (SELECT a.root_id FROM main.atlas AS a WHERE a.atlas_id = atlas_id($atlas)))
) AS t
    ON t.structure_id = s.structure_id
WHERE
    s.atlas_id = atlas_id($atlas)
    AND ($depth IS NULL OR s.depth <= checked_depth($atlas, $depth))
ORDER BY s.rank;

-- name: subtree
-- A structure and its descendants, depth-first; distance is steps below it.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure = NULL: the top [default: the root]
SELECT *
FROM subtree(
    $atlas,
    coalesce($structure, (SELECT a.root_id FROM main.atlas AS a WHERE a.atlas_id = atlas_id($atlas)))
)
ORDER BY rank;

-- name: children
-- The direct children of a structure with their volumes and their shares of the structure's.
-- What the structure's own label bears (voxels that are in no child) is a row of its own, without
-- an id.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: the parent
SELECT
    c.structure_id,
    c.acronym,
    c.name,
    r.volume_mm3,
    100 * r.volume_mm3 / nullif(p.volume_mm3, 0) AS percent_of_parent
FROM children($atlas, $structure) AS c
INNER JOIN all_atlases.region AS r
    ON r.atlas_id = atlas_id($atlas) AND r.structure_id = c.structure_id
INNER JOIN all_atlases.region AS p
    ON p.atlas_id = r.atlas_id AND p.structure_id = r.parent_id
UNION ALL
SELECT
    NULL,
    NULL,
    'in no child',
    p.volume_mm3 * p.direct_voxels / p.voxels,
    100.0 * p.direct_voxels / p.voxels
FROM all_atlases.region AS p
WHERE
    p.atlas_id = atlas_id($atlas)
    AND p.structure_id = structure_id_of($atlas, $structure)
    AND p.direct_voxels > 0
ORDER BY volume_mm3 DESC, acronym;

-- name: siblings
-- The other children of a structure's parent.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: whose siblings
SELECT structure_id, acronym, name, depth FROM siblings($atlas, $structure) ORDER BY rank;

-- name: leaves
-- The structures without children in a structure's subtree, depth-first.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: within which
SELECT structure_id, acronym, name, depth, distance FROM leaves($atlas, $structure) ORDER BY rank;

-- name: ancestor_at_depth
-- The ancestor of a structure at a depth; a structure that ends above it gives itself.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: whose ancestor
-- $depth integer: steps from the root
SELECT s.structure_id, s.acronym, s.name, s.depth
FROM main.structure AS s
WHERE
    s.atlas_id = atlas_id($atlas)
    AND s.structure_id = ancestor_at_depth($atlas, $structure, $depth);

-- name: lowest_common_ancestor
-- The deepest structure that contains two structures; it may be one of them.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: one
-- $other structure: the other
SELECT s.structure_id, s.acronym, s.name, s.depth
FROM main.structure AS s
WHERE
    s.atlas_id = atlas_id($atlas)
    AND s.structure_id = lowest_common_ancestor($atlas, $structure, $other);

-- name: is_descendant
-- Whether a structure is below another; a structure is no descendant of itself.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: the lower
-- $ancestor structure: the higher
SELECT
    acronym_of($atlas, $structure) AS acronym,
    acronym_of($atlas, $ancestor) AS ancestor,
    is_descendant($atlas, $structure, $ancestor) AS is_descendant;

-- name: paths
-- The path from the root to every structure, a row for each.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure = NULL: within which [default: the whole atlas]
SELECT s.structure_id, s.acronym, s.depth, s.path_text
FROM all_atlases.structure AS s
INNER JOIN subtree(
    $atlas,
    coalesce($structure, (SELECT a.root_id FROM main.atlas AS a WHERE a.atlas_id = atlas_id($atlas)))
) AS t
    ON t.structure_id = s.structure_id
WHERE s.atlas_id = atlas_id($atlas)
ORDER BY s.rank;

-- name: levels
-- Every depth of an atlas: its structures, how many of them end there, and its share of the labelled
-- volume. Shares below the root are under 100 percent where branches end above the depth, or where
-- voxels bear the label of a structure above it.
-- $atlas atlas: NAME or NAME@VERSION
SELECT
    r.depth,
    count(*) AS structures,
    count(*) FILTER (r.is_leaf) AS leaves,
    sum(r.volume_mm3) AS volume_mm3,
    100 * sum(r.volume_mm3) / nullif(max(root.volume_mm3), 0) AS percent_of_root
FROM all_atlases.region AS r
INNER JOIN all_atlases.region AS root
    ON root.atlas_id = r.atlas_id AND root.rank = 1
WHERE r.atlas_id = atlas_id($atlas)
GROUP BY r.depth
ORDER BY r.depth;

-- name: cut
-- The whole annotation cut at a depth: each voxel belongs to one row. Structures above the depth
-- whose own label voxels bear are rows with is_assigned false; labels that have no structure and the
-- background are the last two.
-- $atlas atlas: NAME or NAME@VERSION
-- $depth integer: steps from the root
SELECT structure_id, acronym, name, depth, status, is_assigned, voxels, volume_mm3
FROM annotation_cut($atlas, $depth)
ORDER BY rank NULLS LAST, status DESC;

-- name: partition
-- Whether structures tile a structure: a row for each fault (a part outside it, parts that overlap,
-- a gap, voxels of a structure above parts), none if they do.
-- $atlas atlas: NAME or NAME@VERSION
-- $structure structure: what is to be tiled
-- $parts structures: the parts, repeated
SELECT fault, structure_id, acronym, name, within_id, voxels
FROM partition_check($atlas, $structure, $parts)
ORDER BY rank, fault, within_id;

-- name: at
-- What is at a point: status is inside, unlabelled (a label without a structure), background or
-- outside.
-- $atlas atlas: NAME or NAME@VERSION
-- $ap_um number: microns from the anterior face
-- $si_um number: microns from the superior face
-- $rl_um number: microns from the right face
SELECT
    status_at($atlas, $ap_um, $si_um, $rl_um) AS status,
    structure_id_at($atlas, $ap_um, $si_um, $rl_um) AS structure_id,
    acronym_at($atlas, $ap_um, $si_um, $rl_um) AS acronym,
    hemisphere_at($atlas, $ap_um, $si_um, $rl_um) AS hemisphere,
    label_at($atlas, $ap_um, $si_um, $rl_um) AS label;
