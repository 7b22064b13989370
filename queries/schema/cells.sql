-- name: cells
CREATE VIEW ${view} AS
SELECT
    ${atlas_id} AS atlas_id,
    _c.*
FROM read_parquet(${file}, hive_partitioning = false, filename = false) AS _c;

COMMENT ON VIEW ${view} IS ${comment};
COMMENT ON COLUMN ${view}.atlas_id IS 'the atlas that the cells were annotated with, as in table atlas';
COMMENT ON COLUMN ${view}.ap_um IS 'microns from anterior';
COMMENT ON COLUMN ${view}.si_um IS 'microns from superior';
COMMENT ON COLUMN ${view}.rl_um IS 'microns from right';
COMMENT ON COLUMN ${view}.structure_id IS 'the structure at the cell; NULL where there is none';
COMMENT ON COLUMN ${view}.acronym IS 'acronym of the structure';
COMMENT ON COLUMN ${view}.hemisphere IS '''left'' or ''right''; NULL where no structure is';
COMMENT ON COLUMN ${view}.status IS '''inside'', ''unlabelled'', ''background'' or ''outside''';
