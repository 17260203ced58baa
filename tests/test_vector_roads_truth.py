"""Road networks beside known centrelines: the sample town, OpenStreetMap lines, a hand-drawn city."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import CRS
from rasterio.features import rasterize

from geodl.vector import vectorize_layers
from geodl.vector.roads import road_network
from geodl.vector.source import ClassRaster
from tests.conftest import ROOT


def network_of(surfaces, shape, transform, crs):
    """Edges and nodes of roads that are drawn as surfaces."""
    classes = rasterize(surfaces, shape, transform=transform, dtype=np.uint8)
    raster = ClassRaster(
        shape=shape,
        crs=CRS.from_user_input(crs),
        transform=transform,
        nodata=255,
        read=lambda start, stop: classes[start:stop],
    )
    return tuple(
        geopandas.GeoDataFrame(batch.columns, geometry=batch.geometry, crs=crs)
        for batch in road_network(raster)
    )


def shares_within(edges, truth, distance):
    """Shares of the truth near the edges, and of the edges near the truth."""
    ours = shapely.union_all(edges.geometry)
    return (
        truth.intersection(ours.buffer(distance)).length / truth.length,
        ours.intersection(truth.buffer(distance)).length / ours.length,
    )


def junctions(lines):
    """Points where at least three pieces of noded lines meet, those within 8 metres as one."""
    pieces = shapely.get_parts(shapely.node(shapely.union_all(lines)))
    ends = np.concatenate([shapely.get_coordinates(piece)[[0, -1]] for piece in pieces])
    places, count = np.unique(np.round(ends, 2), axis=0, return_counts=True)
    near = shapely.union_all(shapely.points(places[count > 2])).buffer(4)
    return [part.centroid for part in shapely.get_parts(near)]


def test_the_sample_town():
    with rasterio.open(ROOT / "sample_scenes" / "aerial_town_2023.tif") as scene:
        shape, transform, crs = scene.shape, scene.transform, scene.crs
    truth = geopandas.read_file(ROOT / "sample_scenes" / "truth" / "aerial_town_2023_roads.gpkg").to_crs(crs)
    edges, nodes = network_of(truth.buffer(truth["width_m"] / 2), shape, transform, crs)
    lines = shapely.union_all(truth.geometry)
    assert min(shares_within(edges, lines, 1.0)) > 0.97
    assert min(shares_within(edges, lines, 2.0)) > 0.99
    assert edges["length_m"].sum() == pytest.approx(lines.length, rel=0.01)
    middle = edges.set_geometry(edges.geometry.interpolate(0.5, normalized=True))
    nearest = geopandas.sjoin_nearest(middle, truth[["width_m", "geometry"]])
    assert np.abs(nearest["width_m_left"] - nearest["width_m_right"]).median() < 0.5
    found = nodes.geometry[nodes["degree"] > 2]
    crossings = junctions(truth.geometry)
    assert np.mean([found.distance(point).min() < 4 for point in crossings]) > 0.9
    assert len(found) == pytest.approx(len(crossings), abs=1)


def test_masks_of_open_street_map_lines(real_data):
    folder = real_data / "roads" / "massachusetts_roads" / "masks"
    layers = vectorize_layers(folder / "23279080_15.tif", "roads")
    edges, nodes = layers["edges"], layers["nodes"]
    with rasterio.open(folder / "23279080_15.tif") as mask:
        road, transform = mask.read(1) == 1, mask.transform
    # Lines of 7 pixels: their length is the surface by seven, less where they cross.
    assert edges["length_m"].sum() == pytest.approx(road.sum() / 7, rel=0.06)
    assert edges["width_m"].median() == pytest.approx(7, abs=0.6)
    drawn = rasterize(edges.geometry.buffer(3.5), road.shape, transform=transform, dtype=np.uint8) == 1
    assert (drawn & road).sum() / (drawn | road).sum() > 0.85
    assert (nodes["degree"] == 2).sum() <= 5


def test_hand_drawn_lines_in_degrees(real_data):
    folder = real_data / "roads" / "spacenet_samples"
    lines = geopandas.read_file(folder / "spacenetroads_AOI_2_Vegas_img0.geojson").explode()
    with rasterio.open(folder / "RGB-PanSharpen_AOI_2_Vegas_img0.tif") as scene:
        shape, transform, crs = scene.shape, scene.transform, scene.crs
        frame = shapely.box(*scene.bounds)
    metres = lines.estimate_utm_crs()
    edges, _ = network_of(lines.to_crs(metres).buffer(4).to_crs(crs), shape, transform, crs)
    truth = shapely.union_all(lines.clip(frame).to_crs(metres).geometry)
    assert min(shares_within(edges.to_crs(metres), truth, 2.0)) > 0.9
    assert edges["length_m"].sum() == pytest.approx(truth.length, rel=0.06)
    assert edges["width_m"].median() == pytest.approx(8, abs=0.5)
