-- Macros and views over all atlases, in the schema main. Re-created after every migration.
-- Parameters and aliases carry an underscore: DuckDB substitutes a macro's arguments as text, so
-- that a plain name would capture, or be captured by, the columns of the query that calls it.

-- name: atlas_id
-- The number of an atlas named NAME (its highest version) or NAME@VERSION.
CREATE OR REPLACE MACRO main.atlas_id(_name) AS (
    SELECT CASE
        WHEN count(*) = 0 THEN error(concat('no atlas ', _name, ' in this database'))
        ELSE arg_max(_a.atlas_id, (_a.version_major, _a.version_minor))
    END
    FROM main.atlas AS _a
    WHERE _name IN (_a.name, concat(_a.name, '@', _a.version))
);
