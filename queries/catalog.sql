-- What is in a database.

-- name: atlases
-- One row for each atlas version, the newest of each first.
SELECT
    a.name,
    a.version,
    format('{:g} × {:g} × {:g}', a.resolution_ap_um, a.resolution_si_um, a.resolution_rl_um)
        AS resolution_um,
    (SELECT count(*) FROM structure AS s WHERE s.atlas_id = a.atlas_id) AS structures,
    (SELECT count(*) FROM mesh AS m WHERE m.atlas_id = a.atlas_id) AS meshes,
    (SELECT count(*) FROM finding AS f WHERE f.atlas_id = a.atlas_id AND f.severity = 'warning')
        AS warnings
FROM atlas AS a
ORDER BY a.name, a.version_major DESC, a.version_minor DESC;

-- name: atlas
-- All that is known of one atlas, as one row.
-- $atlas atlas: NAME or NAME@VERSION
SELECT
    a.name,
    a.version,
    a.species,
    a.citation,
    a.atlas_link,
    a.orientation,
    a.source_orientation,
    a.symmetric,
    [a.resolution_ap_um, a.resolution_si_um, a.resolution_rl_um] AS resolution_um,
    [a.shape_ap, a.shape_si, a.shape_rl] AS shape,
    (SELECT s.acronym FROM structure AS s WHERE s.atlas_id = a.atlas_id AND s.rank = 1) AS root,
    (SELECT count(*) FROM structure AS s WHERE s.atlas_id = a.atlas_id) AS structures,
    (SELECT max(s.depth) FROM structure AS s WHERE s.atlas_id = a.atlas_id) AS depth,
    (SELECT count(*) FROM structure_closure AS c WHERE c.atlas_id = a.atlas_id) AS closure_rows,
    (SELECT count(*) FROM label AS l WHERE l.atlas_id = a.atlas_id) AS labels,
    (SELECT e.voxels FROM structure_extent AS e
     WHERE e.atlas_id = a.atlas_id AND e.structure_id = a.root_id AND e.hemisphere = 'both')
        AS root_voxels,
    (SELECT e.volume_mm3 FROM structure_extent AS e
     WHERE e.atlas_id = a.atlas_id AND e.structure_id = a.root_id AND e.hemisphere = 'both')
        AS root_volume_mm3,
    (SELECT list(v.kind ORDER BY v.path) FROM volume AS v WHERE v.atlas_id = a.atlas_id) AS volumes,
    (SELECT count(*) FROM mesh AS m WHERE m.atlas_id = a.atlas_id) AS meshes,
    (SELECT count(*) FROM finding AS f WHERE f.atlas_id = a.atlas_id) AS findings,
    CAST(
        (SELECT sum(v.bytes) FROM volume AS v WHERE v.atlas_id = a.atlas_id)
        + (SELECT coalesce(sum(m.bytes), 0) FROM mesh AS m WHERE m.atlas_id = a.atlas_id)
        AS BIGINT
    ) AS bytes,
    a.source_url,
    a.source_format,
    a.source_sha256,
    a.ingested_at,
    a.atlasdb_version
FROM atlas AS a
WHERE a.atlas_id = atlas_id($atlas);

-- name: findings
-- The findings about one atlas by kind, each with its first example.
-- $atlas atlas: NAME or NAME@VERSION
SELECT
    f.severity,
    f.code,
    count(*) AS number,
    arg_min(f.detail, f.number) AS example
FROM finding AS f
WHERE f.atlas_id = atlas_id($atlas)
GROUP BY f.severity, f.code
ORDER BY f.severity DESC, min(f.number);

-- name: cell_tables
-- The registered tables of cells, with the number of cells by status.
SELECT
    concat('cells.', c.name) AS name,
    concat(a.name, '@', a.version) AS atlas,
    c.rows,
    c.inside,
    c.unlabelled,
    c.background,
    c.outside,
    c.source,
    c.unit,
    c.orientation,
    c.added_at,
    c.outdated
FROM main.cell_table AS c
INNER JOIN main.atlas AS a ON a.atlas_id = c.atlas_id
ORDER BY c.name;
