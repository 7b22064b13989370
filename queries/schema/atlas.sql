-- One view of an atlas's own schema: ${view} of all_atlases, cut to the rows of one atlas version,
-- so that it joins on structure_id alone. Filled in by atlasdb.views.
CREATE OR REPLACE VIEW ${schema}.${view} AS
SELECT * EXCLUDE (atlas, atlas_id) FROM all_atlases.${view} WHERE atlas_id = ${atlas_id};
