-- A condition that holds unless a temporary table or view is called as a table of ours: DuckDB would
-- take it for ours, and every answer would come from it. Filled in for ${guard} in atlas_id, which
-- every macro asks.
(
    SELECT
        CASE
            WHEN count(*) = 0 THEN true
            ELSE error(concat(
                'a temporary table or view called ', any_value(hidden.name),
                ' hides the database''s own: drop it, or give it another name'
            ))
        END
    FROM (
        SELECT t.table_name AS name, t.temporary FROM duckdb_tables() AS t
        UNION ALL
        SELECT v.view_name, v.temporary FROM duckdb_views() AS v
    ) AS hidden
    WHERE
        hidden.temporary
        AND lower(hidden.name) IN (
            'annotation_run', 'atlas', 'cell_table', 'finding', 'label', 'mesh', 'structure',
            'structure_closure', 'structure_extent', 'volume'
        )
)
