-- The views over all atlases, in the schema all_atlases. Each atlas's own schema holds the same
-- views, cut to its rows and without the columns atlas and atlas_id (atlas.sql). Comments that are
-- not given here are those of the tables' columns.

-- name: atlas
CREATE OR REPLACE VIEW all_atlases.atlas AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    a.*
FROM main.atlas AS a;

COMMENT ON VIEW all_atlases.atlas IS 'the metadata of an atlas version, in one row';
COMMENT ON COLUMN all_atlases.atlas.atlas IS 'NAME@VERSION';

-- name: structure
CREATE OR REPLACE VIEW all_atlases.structure AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    s.atlas_id,
    s.structure_id,
    s.acronym,
    s.name,
    s.parent_id,
    s.path[-2] AS parent_acronym,
    s.path,
    array_to_string(s.path, ' > ') AS path_text,
    s.depth,
    s.rank,
    s.last_rank,
    s.rank = s.last_rank AS is_leaf,
    s.red,
    s.green,
    s.blue
FROM main.structure AS s
INNER JOIN main.atlas AS a ON a.atlas_id = s.atlas_id;

COMMENT ON VIEW all_atlases.structure
IS 'the structures, with their paths; a subtree is rank BETWEEN its root''s rank AND last_rank';
COMMENT ON COLUMN all_atlases.structure.parent_acronym
IS 'acronym of the parent, NULL for the root';
COMMENT ON COLUMN all_atlases.structure.path_text IS 'the path as text, joined with '' > ''';
COMMENT ON COLUMN all_atlases.structure.is_leaf IS 'whether the structure has no children';

-- name: closure
CREATE OR REPLACE VIEW all_atlases.closure AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    c.*
FROM main.structure_closure AS c
INNER JOIN main.atlas AS a ON a.atlas_id = c.atlas_id;

COMMENT ON VIEW all_atlases.closure
IS 'every pair of an ancestor and a descendant, self included';

-- name: extent
CREATE OR REPLACE VIEW all_atlases.extent AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    e.*
FROM main.structure_extent AS e
INNER JOIN main.atlas AS a ON a.atlas_id = e.atlas_id;

COMMENT ON VIEW all_atlases.extent
IS 'voxels, volume, centroid and bounding box of each structure''s subtree, by hemisphere';

-- name: region
CREATE OR REPLACE VIEW all_atlases.region AS
SELECT
    s.atlas,
    s.atlas_id,
    s.structure_id,
    s.acronym,
    s.name,
    s.parent_id,
    s.parent_acronym,
    s.path,
    s.path_text,
    s.depth,
    s.rank,
    s.last_rank,
    s.is_leaf,
    b.direct_voxels,
    b.voxels,
    l.voxels AS voxels_left,
    r.voxels AS voxels_right,
    b.volume_mm3,
    l.volume_mm3 AS volume_left_mm3,
    r.volume_mm3 AS volume_right_mm3,
    b.centroid_ap_um,
    b.centroid_si_um,
    b.centroid_rl_um,
    b.bbox_min_ap_um,
    b.bbox_min_si_um,
    b.bbox_min_rl_um,
    b.bbox_max_ap_um,
    b.bbox_max_si_um,
    b.bbox_max_rl_um,
    m.path AS mesh_path,
    s.red,
    s.green,
    s.blue
FROM all_atlases.structure AS s
INNER JOIN main.structure_extent AS b
    ON b.atlas_id = s.atlas_id AND b.structure_id = s.structure_id AND b.hemisphere = 'both'
INNER JOIN main.structure_extent AS l
    ON l.atlas_id = s.atlas_id AND l.structure_id = s.structure_id AND l.hemisphere = 'left'
INNER JOIN main.structure_extent AS r
    ON r.atlas_id = s.atlas_id AND r.structure_id = s.structure_id AND r.hemisphere = 'right'
LEFT JOIN main.mesh AS m
    ON m.atlas_id = s.atlas_id AND m.structure_id = s.structure_id;

COMMENT ON VIEW all_atlases.region
IS 'one wide row a structure: parent, path, volumes of the subtree, centroid, bounds, mesh, colour';
COMMENT ON COLUMN all_atlases.region.voxels_left IS 'voxels of the subtree in the left hemisphere';
COMMENT ON COLUMN all_atlases.region.voxels_right IS 'voxels of the subtree in the right hemisphere';
COMMENT ON COLUMN all_atlases.region.volume_left_mm3
IS 'volume of the subtree in the left hemisphere';
COMMENT ON COLUMN all_atlases.region.volume_right_mm3
IS 'volume of the subtree in the right hemisphere';
COMMENT ON COLUMN all_atlases.region.mesh_path
IS 'OBJ file, relative to the home folder; NULL without a mesh';

-- name: leaf
CREATE OR REPLACE VIEW all_atlases.leaf AS
SELECT * FROM all_atlases.region WHERE region.is_leaf;

COMMENT ON VIEW all_atlases.leaf IS 'the rows of region for structures without children';

-- name: label
CREATE OR REPLACE VIEW all_atlases.label AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    l.*
FROM main.label AS l
INNER JOIN main.atlas AS a ON a.atlas_id = l.atlas_id;

COMMENT ON VIEW all_atlases.label
IS 'the label values that occur in the annotation, background (0) left out';

-- name: annotation_run
CREATE OR REPLACE VIEW all_atlases.annotation_run AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    x.*
FROM main.annotation_run AS x
INNER JOIN main.atlas AS a ON a.atlas_id = x.atlas_id;

COMMENT ON VIEW all_atlases.annotation_run
IS 'the annotation as runs of equal rank and hemisphere, in voxel order';

-- name: volume
CREATE OR REPLACE VIEW all_atlases.volume AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    v.*
FROM main.volume AS v
INNER JOIN main.atlas AS a ON a.atlas_id = v.atlas_id;

COMMENT ON VIEW all_atlases.volume IS 'the TIFF files beside the database';

-- name: mesh
CREATE OR REPLACE VIEW all_atlases.mesh AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    m.*
FROM main.mesh AS m
INNER JOIN main.atlas AS a ON a.atlas_id = m.atlas_id;

COMMENT ON VIEW all_atlases.mesh
IS 'the OBJ files beside the database: microns, axes AP, SI, RL';

-- name: finding
CREATE OR REPLACE VIEW all_atlases.finding AS
SELECT
    concat(a.name, '@', a.version) AS atlas,
    f.*
FROM main.finding AS f
INNER JOIN main.atlas AS a ON a.atlas_id = f.atlas_id;

COMMENT ON VIEW all_atlases.finding
IS 'what is odd about the atlases, as the ingest check saw it';
