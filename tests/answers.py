"""Every view and macro of a database, asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import atlasdb

_ATLAS = "'small_rat_50um'"
_POINT = f"{_ATLAS}, 60, 30, 15"

CALLS = {
    "is_number": "1",
    "atlas_id": _ATLAS,
    "structure_of": f"{_ATLAS}, 'CM'",
    "structure_id_of": f"{_ATLAS}, 'CM'",
    "acronym_of": f"{_ATLAS}, 70000",
    "checked_depth": f"{_ATLAS}, 1",
    "subtree": f"{_ATLAS}, 'CM'",
    "descendants": f"{_ATLAS}, 'CM'",
    "children": f"{_ATLAS}, 'CM'",
    "leaves": f"{_ATLAS}, 'CM'",
    "ancestors": f"{_ATLAS}, 'CM'",
    "siblings": f"{_ATLAS}, 'CM'",
    "structures_at_depth": f"{_ATLAS}, 2, under := 'grey', ragged := 'leaf'",
    "ancestor_at_depth": f"{_ATLAS}, 'CM', 1",
    "lowest_common_ancestor": f"{_ATLAS}, 'CM', 'cm'",
    "is_descendant": f"{_ATLAS}, 'CM', 'grey'",
    "annotation_cut": f"{_ATLAS}, 1",
    "partition_check": f"{_ATLAS}, 'grey', ['CM', 'cm']",
    "search_structures": f"'grey', atlas := {_ATLAS}",
    "run_at": _POINT,
    "top_level_of": "'STRUCT(a INTEGER)'",
    "structure_id_at": _POINT,
    "acronym_at": _POINT,
    "hemisphere_at": _POINT,
    "label_at": _POINT,
    "status_at": _POINT,
    "label_points": f"'no_points', {_ATLAS}",
}
"""Every macro with arguments; a macro that is missing here fails the test."""


def every_view_answers(db: atlasdb.Database) -> None:
    """Ask all of them, and for each comment, of a home with an atlas small_rat_50um."""
    found = db.sql(
        "SELECT schema_name, view_name, comment FROM duckdb_views() "
        "WHERE NOT internal AND database_name = current_database()"
    ).to_pylist()
    assert {view["view_name"] for view in found} >= {"structure", "closure", "extent", "region"}
    for view in found:
        assert view["comment"]
        assert db.sql(f'FROM "{view["schema_name"]}"."{view["view_name"]}"').num_columns > 0
    uncommented = db.sql(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = current_database() AND comment IS NULL "
        "AND table_name <> 'alembic_version' "
        "AND (schema_name <> 'cells' OR column_name <> 'animal')"  # the cells' own column
    )
    assert uncommented.num_rows == 0, uncommented.to_pylist()
    macros = db.sql(
        "SELECT function_name AS name, function_type AS type, comment FROM duckdb_functions() "
        "WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal"
    ).to_pylist()
    assert {macro["name"] for macro in macros} == set(CALLS)
    for macro in macros:
        assert macro["comment"]
        call = f"{macro['name']}({CALLS[macro['name']]})"
        if macro["name"] == "label_points":
            call = f"(WITH no_points AS (SELECT 1 AS ap_um, 2 AS si_um, 3 AS rl_um) FROM {call})"
        verb = "FROM" if macro["type"] == "table_macro" else "SELECT"
        assert db.sql(f"{verb} {call}").num_columns > 0, call
