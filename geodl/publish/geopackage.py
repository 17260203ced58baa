"""What a finished GeoPackage holds beside its features: the QGIS style and where the layer comes from.

Tables as in the OGC GeoPackage 1.3 standard (requirements classes `attributes` and `metadata`) and as the
QGIS 3 OGR provider creates `layer_styles`.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

# Clock times would make two runs of the same work differ; a fixed one says nothing, as it should.
TIMESTAMP = "2000-01-01T00:00:00.000Z"

METADATA_STANDARD = "https://github.com/geodl#provenance"

_STYLES = """
CREATE TABLE IF NOT EXISTS layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
_METADATA = """
CREATE TABLE gpkg_metadata (
  id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
  md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml',
  metadata TEXT NOT NULL DEFAULT '')
"""
_REFERENCE = """
CREATE TABLE gpkg_metadata_reference (
  reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT, row_id_value INTEGER,
  timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), md_file_id INTEGER NOT NULL,
  md_parent_id INTEGER,
  CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
  CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id))
"""
_EXTENSIONS = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))
"""


def store_style(path: Path, *, layer: str, style: str) -> None:
    """Store a QML as the layer's default style, in the table where QGIS looks for it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        geometry = connection.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        connection.execute(_STYLES)
        connection.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
            " styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time)"
            " VALUES ('', '', ?, ?, ?, ?, '', 1, '', '', NULL, ?)",
            (layer, geometry[0], layer[:30], style, TIMESTAMP),
        )
        connection.execute(
            "INSERT OR IGNORE INTO gpkg_contents"
            " (table_name, data_type, identifier, description, last_change, srs_id)"
            " VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?, 0)",
            (TIMESTAMP,),
        )
        connection.execute(
            "INSERT OR REPLACE INTO gpkg_ogr_contents SELECT 'layer_styles', count(*) FROM layer_styles"
        )


def store_provenance(path: Path, *, provenance: Mapping[str, Any]) -> None:
    """Store where the file comes from as JSON in the GeoPackage's metadata tables."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(_METADATA)
        connection.execute(_REFERENCE)
        connection.execute(_EXTENSIONS)
        text = json.dumps(provenance, sort_keys=True, ensure_ascii=False)
        connection.execute(
            "INSERT INTO gpkg_metadata VALUES (1, 'dataset', ?, 'application/json', ?)",
            (METADATA_STANDARD, text),
        )
        connection.execute(
            "INSERT INTO gpkg_metadata_reference VALUES ('geopackage', NULL, NULL, NULL, ?, 1, NULL)",
            (TIMESTAMP,),
        )
        for table in ("gpkg_metadata", "gpkg_metadata_reference"):
            connection.execute(
                "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_metadata',"
                " 'http://www.geopackage.org/spec120/#extension_metadata', 'read-write')",
                (table,),
            )
