-- The views of one atlas version, in a schema of its own, so that they join on structure_id alone.
-- ${schema} and ${atlas_id} are filled in by atlasdb.queries; re-created after every migration.
-- Tables are named main.…, or a view would find itself.

-- name: atlas
CREATE OR REPLACE VIEW ${schema}.atlas AS
SELECT * FROM main.atlas WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.atlas IS 'the one row of this atlas version';

-- name: structure
CREATE OR REPLACE VIEW ${schema}.structure AS
SELECT * EXCLUDE (atlas_id) FROM main.structure WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.structure
IS 'the structures; a subtree is rank BETWEEN its root''s rank AND last_rank';

-- name: closure
CREATE OR REPLACE VIEW ${schema}.closure AS
SELECT * EXCLUDE (atlas_id) FROM main.structure_closure WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.closure
IS 'every pair of an ancestor and a descendant, self included';

-- name: extent
CREATE OR REPLACE VIEW ${schema}.extent AS
SELECT * EXCLUDE (atlas_id) FROM main.structure_extent WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.extent
IS 'voxels, volume, centroid and bounding box of each structure''s subtree, by hemisphere';

-- name: label
CREATE OR REPLACE VIEW ${schema}.label AS
SELECT * EXCLUDE (atlas_id) FROM main.label WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.label
IS 'the label values that occur in the annotation, background (0) left out';

-- name: annotation_run
CREATE OR REPLACE VIEW ${schema}.annotation_run AS
SELECT * EXCLUDE (atlas_id) FROM main.annotation_run WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.annotation_run
IS 'the annotation as runs of equal rank and hemisphere, in voxel order';

-- name: volume
CREATE OR REPLACE VIEW ${schema}.volume AS
SELECT * EXCLUDE (atlas_id) FROM main.volume WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.volume IS 'the TIFF files beside the database';

-- name: mesh
CREATE OR REPLACE VIEW ${schema}.mesh AS
SELECT * EXCLUDE (atlas_id) FROM main.mesh WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.mesh IS 'the OBJ files beside the database: microns, axes AP, SI, RL';

-- name: finding
CREATE OR REPLACE VIEW ${schema}.finding AS
SELECT * EXCLUDE (atlas_id) FROM main.finding WHERE atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.finding IS 'what is odd about this atlas, as the ingest check saw it';

-- name: region
CREATE OR REPLACE VIEW ${schema}.region AS
WITH path AS (
    SELECT
        c.descendant_id AS structure_id,
        list(a.acronym ORDER BY c.distance DESC) AS path,
        max(a.acronym) FILTER (WHERE c.distance = 1) AS parent_acronym
    FROM main.structure_closure AS c
    INNER JOIN main.structure AS a
        ON a.structure_id = c.ancestor_id AND a.atlas_id = ${atlas_id}
    WHERE c.atlas_id = ${atlas_id}
    GROUP BY c.descendant_id
)
SELECT
    s.structure_id,
    s.acronym,
    s.name,
    s.parent_id,
    p.parent_acronym,
    p.path,
    array_to_string(p.path, ' > ') AS path_text,
    s.depth,
    s.rank,
    s.last_rank,
    s.rank = s.last_rank AS is_leaf,
    b.direct_voxels,
    b.voxels,
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
FROM main.structure AS s
INNER JOIN path AS p ON p.structure_id = s.structure_id
INNER JOIN main.structure_extent AS b
    ON b.atlas_id = ${atlas_id} AND b.structure_id = s.structure_id AND b.hemisphere = 'both'
INNER JOIN main.structure_extent AS l
    ON l.atlas_id = ${atlas_id} AND l.structure_id = s.structure_id AND l.hemisphere = 'left'
INNER JOIN main.structure_extent AS r
    ON r.atlas_id = ${atlas_id} AND r.structure_id = s.structure_id AND r.hemisphere = 'right'
LEFT JOIN main.mesh AS m ON m.atlas_id = ${atlas_id} AND m.structure_id = s.structure_id
WHERE s.atlas_id = ${atlas_id};
COMMENT ON VIEW ${schema}.region
IS 'one wide row a structure: parent, path, volumes of the subtree, centroid, bounds, mesh, colour';
