-- Two versions of an atlas, or two atlases with the same ids.

-- name: structure_differences
-- The structures that were added, removed, renamed (acronym or name) or moved (another parent).
-- $atlas atlas: the older
-- $other atlas: the newer
SELECT
    coalesce(n.structure_id, o.structure_id) AS structure_id,
    CASE
        WHEN o.structure_id IS NULL THEN 'added'
        WHEN n.structure_id IS NULL THEN 'removed'
        WHEN o.parent_id IS DISTINCT FROM n.parent_id
            THEN CASE
                WHEN o.acronym <> n.acronym OR o.name <> n.name THEN 'moved and renamed'
                ELSE 'moved'
            END
        ELSE 'renamed'
    END AS difference,
    o.acronym AS acronym_before,
    n.acronym AS acronym_after,
    o.name AS name_before,
    n.name AS name_after,
    o.path_text AS path_before,
    n.path_text AS path_after
FROM (SELECT * FROM all_atlases.structure WHERE atlas_id = atlas_id($atlas)) AS o
FULL JOIN (SELECT * FROM all_atlases.structure WHERE atlas_id = atlas_id($other)) AS n
    ON n.structure_id = o.structure_id
WHERE
    o.structure_id IS NULL
    OR n.structure_id IS NULL
    OR o.acronym <> n.acronym
    OR o.name <> n.name
    OR o.parent_id IS DISTINCT FROM n.parent_id
ORDER BY coalesce(n.rank, o.rank), structure_id;

-- name: volume_differences
-- The structures of both atlases whose volumes differ, the largest difference first.
-- $atlas atlas: the older
-- $other atlas: the newer
SELECT
    o.structure_id,
    o.acronym,
    o.volume_mm3 AS volume_before_mm3,
    n.volume_mm3 AS volume_after_mm3,
    n.volume_mm3 - o.volume_mm3 AS difference_mm3,
    n.volume_mm3 / nullif(o.volume_mm3, 0) AS ratio
FROM all_atlases.region AS o
INNER JOIN all_atlases.region AS n ON n.structure_id = o.structure_id
WHERE
    o.atlas_id = atlas_id($atlas)
    AND n.atlas_id = atlas_id($other)
    AND o.volume_mm3 <> n.volume_mm3
ORDER BY abs(n.volume_mm3 - o.volume_mm3) DESC, o.rank;

-- name: voxel_differences
-- How many voxels changed from which label to which, the most first; label 0 is the background, and
-- an acronym is NULL there and where the label has no structure. Both atlases must have the same
-- voxels.
-- $atlas atlas: the older
-- $other atlas: the newer
WITH before AS (
    SELECT * FROM main.atlas WHERE atlas_id = atlas_id($atlas)
),

after AS (
    SELECT * FROM main.atlas WHERE atlas_id = atlas_id($other)
),

grid AS (
    SELECT
        before.shape_rl,
        CASE
            WHEN
                [before.shape_ap, before.shape_si, before.shape_rl]
                = [after.shape_ap, after.shape_si, after.shape_rl]
                AND [
                    before.resolution_ap_um, before.resolution_si_um, before.resolution_rl_um
                ] = [after.resolution_ap_um, after.resolution_si_um, after.resolution_rl_um]
                THEN CAST(before.shape_ap AS BIGINT) * before.shape_si * before.shape_rl
            ELSE error(concat(
                before.name, '@', before.version, ' and ', after.name, '@', after.version,
                ' have other shapes or resolutions: their voxels cannot be compared'
            ))
        END AS size,
        before.resolution_ap_um * before.resolution_si_um * before.resolution_rl_um / 1e9
            AS voxel_mm3
    FROM before, after
),

edge AS (
    SELECT
        voxel,
        max(rank_before) AS rank_before,
        max(rank_after) AS rank_after
    FROM (
        SELECT r.line * grid.shape_rl + r.start AS voxel, r.rank AS rank_before, NULL AS rank_after
        FROM main.annotation_run AS r, grid
        WHERE r.atlas_id = atlas_id($atlas)
        UNION ALL
        SELECT r.line * grid.shape_rl + r.start, NULL, r.rank
        FROM main.annotation_run AS r, grid
        WHERE r.atlas_id = atlas_id($other)
    )
    GROUP BY voxel
),

piece AS (
    SELECT
        last_value(edge.rank_before IGNORE NULLS) OVER (ORDER BY edge.voxel) AS rank_before,
        last_value(edge.rank_after IGNORE NULLS) OVER (ORDER BY edge.voxel) AS rank_after,
        lead(edge.voxel, 1, grid.size) OVER (ORDER BY edge.voxel) - edge.voxel AS voxels
    FROM edge, grid
),

change AS (
    SELECT piece.rank_before, piece.rank_after, CAST(sum(piece.voxels) AS BIGINT) AS voxels
    FROM piece
    GROUP BY piece.rank_before, piece.rank_after
)

SELECT
    coalesce(lb.value, 0) AS label_before,
    sb.acronym AS acronym_before,
    coalesce(la.value, 0) AS label_after,
    sa.acronym AS acronym_after,
    change.voxels,
    change.voxels * grid.voxel_mm3 AS volume_mm3
FROM change
CROSS JOIN grid
LEFT JOIN main.label AS lb
    ON lb.atlas_id = atlas_id($atlas) AND lb.rank = change.rank_before
LEFT JOIN main.label AS la
    ON la.atlas_id = atlas_id($other) AND la.rank = change.rank_after
LEFT JOIN main.structure AS sb
    ON sb.atlas_id = atlas_id($atlas) AND sb.rank = change.rank_before
LEFT JOIN main.structure AS sa
    ON sa.atlas_id = atlas_id($other) AND sa.rank = change.rank_after
WHERE coalesce(lb.value, 0) <> coalesce(la.value, 0)
ORDER BY change.voxels DESC, label_before, label_after;
