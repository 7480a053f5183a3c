"""Readers of boxes: each format as its tool writes it, and broken ones."""

import json
import random

import numpy as np
import pytest
from damage import damaged, never_hangs
from scipy.io import loadmat, savemat

from keras_twostream import actors
from keras_twostream.detection import read_boxes
from keras_twostream.detection.box_lists import read_tracks
from keras_twostream.errors import SpecError

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>7</id><source>street.mp4</source></task></meta>
  <track id="0" label="person">
    <box frame="2" outside="0" keyframe="1" xtl="10" ytl="20" xbr="30" ybr="60">
      <attribute name="action">wave</attribute></box>
    <box frame="4" outside="0" keyframe="1" xtl="14" ytl="20" xbr="34" ybr="60">
      <attribute name="action">wave</attribute></box>
    <box frame="5" outside="1" keyframe="1" xtl="14" ytl="20" xbr="34" ybr="60">
      <attribute name="action">wave</attribute></box>
  </track>
  <track id="1" label="run">
    <box frame="0" outside="0" keyframe="1" xtl="0" ytl="0" xbr="1" ybr="1"/>
  </track>
</annotations>
"""


def test_cvat_tracks_with_interpolated_frames(tmp_path):
    (tmp_path / "boxes.xml").write_text(CVAT)
    (video,) = read_boxes(tmp_path / "boxes.xml", root="/videos")
    assert video.path == "/videos/street.mp4"
    wave, run = video.tracks
    assert (wave.label, run.label) == ("wave", "run")
    assert wave.frames.tolist() == [2, 3, 4]
    assert wave.boxes.tolist() == [
        [10, 20, 29, 59],
        [12, 20, 31, 59],
        [14, 20, 33, 59],
    ]
    assert run.boxes.tolist() == [[0, 0, 0, 0]]


def test_a_turned_box_of_cvat_is_the_upright_one_around_it(tmp_path):
    """A corner of a box of 40 x 20, turned by 90 and by 30 degrees."""
    for degrees, wanted in (
        (0, [10, 20, 49, 39]),
        (90, [20, 10, 39, 49]),
        (30, [7.68, 11.34, 51.32, 47.66]),
    ):
        (tmp_path / "turned.xml").write_text(
            f"""<annotations><track id="0" label="run">
            <box frame="0" outside="0" xtl="10" ytl="20" xbr="50" ybr="40"
            rotation="{degrees}"/></track></annotations>"""
        )
        (video,) = read_boxes(tmp_path / "turned.xml")
        np.testing.assert_allclose(video.tracks[0].boxes[0], wanted, atol=0.01)


def test_cvat_names_tracks_of_several_tasks(tmp_path):
    project = """<annotations><meta><project><tasks>
      <task><id>1</id><source>a.mp4</source></task>
      <task><id>2</id><source>b.mp4</source></task></tasks></project></meta>
      <track id="0" label="run" task_id="1">
        <box frame="0" outside="0" xtl="0" ytl="0" xbr="5" ybr="5"/></track>
      <track id="0" label="jump" task_id="2">
        <box frame="0" outside="0" xtl="0" ytl="0" xbr="5" ybr="5"/></track>
    </annotations>"""
    (tmp_path / "all.xml").write_text(project)
    first, second = read_boxes(tmp_path / "all.xml")
    assert (first.path, first.tracks[0].label) == (
        str(tmp_path / "a.mp4"),
        "run",
    )
    assert second.tracks[0].label == "jump"


def coco(**changes):
    content = {
        "videos": [{"id": 1, "name": "a.mp4"}],
        "categories": [{"id": 3, "name": "jump"}],
        "images": [
            {"id": 10, "video_id": 1, "frame_index": 0},
            {"id": 11, "video_id": 1, "frame_index": 1},
        ],
        "annotations": [
            {
                "id": i,
                "image_id": 10 + i,
                "category_id": 3,
                "track_id": 0,
                "bbox": [4 + i, 5, 10, 20],
            }
            for i in (1, 0)
        ],
    }
    return {**content, **changes}


def test_coco_with_videos_and_tracks(tmp_path):
    (tmp_path / "boxes.json").write_text(json.dumps(coco()))
    (video,) = read_boxes(tmp_path / "boxes.json")
    assert video.path == str(tmp_path / "a.mp4")
    (track,) = video.tracks
    assert track.label == "jump" and track.frames.tolist() == [0, 1]
    assert track.boxes.tolist() == [[4, 5, 13, 24], [5, 5, 14, 24]]


def test_a_box_of_a_part_of_a_pixel_is_that_pixel(tmp_path):
    annotations = [{**coco()["annotations"][1], "bbox": [4, 5, 0.25, 20]}]
    (tmp_path / "a.json").write_text(json.dumps(coco(annotations=annotations)))
    (track,) = read_tracks(tmp_path / "a.json")
    assert track.boxes.tolist() == [[4, 5, 4, 24]]


def test_instances_of_youtube_vis_are_tracks(tmp_path):
    annotations = coco()["annotations"]
    for row in annotations:
        row["instance_id"] = row.pop("track_id")
    (tmp_path / "a.json").write_text(json.dumps(coco(annotations=annotations)))
    (track,) = read_tracks(tmp_path / "a.json")
    assert track.frames.tolist() == [0, 1]


def test_frames_are_numbered_by_their_files_where_nothing_else_says(tmp_path):
    images = [
        {
            "id": 10 + i,
            "video_id": 1,
            "file_name": f"a/img_{i:05d}.jpg",
            "frame_index": None,
        }
        for i in (0, 1)
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(coco(images=images)))
    (video,) = read_boxes(tmp_path / "boxes.json")
    assert video.tracks[0].frames.tolist() == [0, 1]


def test_names_that_count_from_1_are_told(tmp_path):
    images = [
        {"id": 10 + i, "video_id": 1, "file_name": f"{i + 1:05d}.jpg"}
        for i in (0, 1)
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(coco(images=images)))
    with pytest.warns(UserWarning, match="count from 1, and frames are taken"):
        (video,) = read_boxes(tmp_path / "boxes.json")
    assert video.tracks[0].frames.tolist() == [1, 2]


def test_the_actors_own_list(tmp_path):
    place = actors.generate_company(tmp_path, 1, seed=1, size=(64, 96))
    (video,) = read_boxes(place)
    written = json.loads(place.read_text())
    assert sum(map(len, video.tracks)) == len(written["annotations"])
    labels = [track.label for track in video.tracks]
    _, boxes = actors.render_company(labels, seed=1, size=(64, 96))
    for person, track in enumerate(video.tracks):
        np.testing.assert_allclose(track.boxes, boxes[:, person])


@pytest.mark.parametrize(
    "names", [("img_7_a2.jpg", "img_8_a2.jpg"), ("a/5.png", "b/0005.png")]
)
def test_two_images_of_one_frame_are_refused(tmp_path, names):
    images = [
        {"id": 10 + i, "video_id": 1, "file_name": name}
        for i, name in enumerate(names)
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(coco(images=images)))
    with pytest.raises(SpecError, match="10 and 11 of video 1 are both its fr"):
        read_boxes(tmp_path / "boxes.json")
    images[1]["video_id"] = 2
    videos = [{"id": i, "name": f"{i}.mp4"} for i in (1, 2)]
    content = coco(images=images, videos=videos)
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    assert len(read_boxes(tmp_path / "boxes.json")) == 2


def test_mot_leaves_out_what_is_not_counted(tmp_path):
    text = "1,1,5,5,9,9,1,1,1\n2,1,5,5,9,9,0,1,1\n1,2,5,5,9,9,0,8,1\n"
    (tmp_path / "gt.txt").write_text(text + "3 3 5 5 9 9 0.4 -1 -1 -1\n")
    tracks = read_tracks(tmp_path / "gt.txt")
    assert [track.frames.tolist() for track in tracks] == [[0], [2]]


def test_a_list_that_names_no_video_is_of_the_one_beside_it(tmp_path):
    (tmp_path / "street.txt").write_text("1,5,11,21,10,20\n")
    nameless = CVAT.replace("<source>street.mp4</source>", "")
    (tmp_path / "street.xml").write_text(nameless)
    for name in ("street.mp4", "street.tubes.mp4", "street.2.mp4"):
        (tmp_path / name).touch()
    for suffix in (".txt", ".xml"):
        (video,) = read_boxes(tmp_path / f"street{suffix}")
        assert video.path == str(tmp_path / "street.mp4")
    (elsewhere,) = read_boxes(tmp_path / "street.txt", root=tmp_path / "x")
    assert elsewhere.path == str(tmp_path / "x" / "street")


def test_mot_counts_from_one(tmp_path):
    (tmp_path / "a.txt").write_text(
        "1,5,11,21,10,20,1,-1,-1,-1\n2,5,12,21,10,20\n"
    )
    (track,) = read_tracks(tmp_path / "a.txt")
    assert track.frames.tolist() == [0, 1]
    assert track.boxes.tolist() == [[10, 20, 19, 39], [11, 20, 20, 39]]


@pytest.mark.parametrize(
    "name, content",
    [
        ("b.xml", CVAT),
        ("b.json", json.dumps(coco())),
        ("b.txt", "1,5,11,21,10,20,1,-1,-1,-1\n2,5,12,21,10,20\n"),
    ],
)
def test_every_damaged_list_is_read_or_refused(tmp_path, name, content):
    rng, path, refused = random.Random(name), tmp_path / name, 0
    for _ in range(200):
        path.write_bytes(damaged(content.encode(), rng))
        try:
            with never_hangs():
                read_boxes(path)
        except SpecError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 50


def test_boxes_are_not_interpolated_for_years(tmp_path):
    path = tmp_path / "b.xml"
    path.write_text(CVAT.replace('frame="4"', 'frame="999999999999"'))
    with pytest.raises(SpecError, match="b.xml: .* track 0 jump from frame 2"):
        read_boxes(path)


# === Data sets ===


@pytest.fixture
def jhmdb(tmp_path):
    masks = np.zeros((20, 30, 3), "uint8")
    masks[5:9, 10:14, 0] = 1
    masks[6:12, 11:20, 2] = 1
    for name in ("first", "second"):
        folder = tmp_path / "puppet_mask" / "wave" / name
        folder.mkdir(parents=True)
        savemat(folder / "puppet_mask.mat", {"part_mask": masks})
    (tmp_path / "splits").mkdir()
    text = "first.avi 1 \nsecond.avi 2 \n"
    (tmp_path / "splits" / "wave_test_split1.txt").write_text(text)
    return tmp_path


def test_jhmdb_takes_the_box_of_each_mask(jhmdb):
    first, _ = read_boxes(jhmdb)
    wanted = jhmdb / "ReCompress_Videos" / "wave" / "first.avi"
    assert first.path == str(wanted)
    (track,) = first.tracks
    assert track.label == "wave" and track.frames.tolist() == [0, 2]
    assert track.boxes.tolist() == [[10, 5, 13, 8], [11, 6, 19, 11]]


def test_jhmdb_is_read_by_split_and_subset(jhmdb):
    train = read_boxes(jhmdb, split=1, subset="train")
    test = read_boxes(jhmdb, split=1, subset="test")
    assert ["first" in video.path for video in train] == [True]
    assert ["second" in video.path for video in test] == [True]
    with pytest.raises(SpecError, match="splits 1, 2, 3.*split=4"):
        read_boxes(jhmdb, split=4, subset="test")


@pytest.mark.parametrize("part", [{"split": 1}, {"subset": "test"}])
def test_a_list_without_parts_is_not_read_whole_for_one(part, tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text("1,1,10,20,30,40")
    with pytest.raises(SpecError, match="of J-HMDB, and mot has none"):
        read_boxes(path, **part)


def test_the_authors_boxes_are_of_masks_as_ours(shared):
    """Theirs are inclusive corners, within J-HMDB's 320 x 240 frames."""
    annot = loadmat(
        shared / "action_tubes/jhmdb_annot.mat",
        squeeze_me=True,
        struct_as_record=False,
    )["annot"]
    x, y, width, height = annot.bound.T
    assert len(annot.frame) == 31_838 and annot.frame.min() == 1
    assert (x + width - 1).max() <= 320 and (y + height - 1).max() <= 240


def test_ucf_sports_joins_views(tmp_path):
    for action in ("Golf-Swing-Back", "Lifting"):
        folder = tmp_path / action / "001"
        (folder / "gt").mkdir(parents=True)
        (folder / "film.avi").touch()
        for frame in (2, 10):
            text = f"{frame}\t3\t20\t40\t{action}\n"
            (folder / "gt" / f"f{frame}.txt").write_text(text)
        (folder / "gt" / "f11.txt").write_text("0\t0\t0\t0\tnobody\n")
    golf, lifting = read_boxes(tmp_path)
    assert golf.tracks[0].label == "Golf-Swing"
    assert lifting.tracks[0].label == "Lifting"
    assert lifting.path == str(tmp_path / "Lifting" / "001" / "film.avi")
    assert golf.tracks[0].frames.tolist() == [0, 1]
    assert golf.tracks[0].boxes.tolist() == [[2, 3, 21, 42], [10, 3, 29, 42]]


# === Broken lists ===

POLYGON = """<annotations><track id="3" label="run">
<polygon frame="0" points="0,0;5,0;5,5"/></track></annotations>"""
NO_TRACK = [{"image_id": 10, "category_id": 3, "bbox": [0, 0, 1, 1]}]
NO_AREA = [
    {"image_id": 10, "category_id": 3, "track_id": 0, "bbox": [0, 0, 0, 1]}
]
TWICE = 2 * [
    {"image_id": 10, "category_id": 3, "track_id": 0, "bbox": [0, 0, 3, 1]}
]


def one_box(**changes):
    row = {
        "image_id": 10,
        "category_id": 3,
        "track_id": 0,
        "bbox": [0, 0, 3, 1],
    }
    return json.dumps(coco(annotations=[row | changes]))


def images(*facts):
    rows = [{"id": 10, "video_id": 1} | row for row in facts]
    rows.append({"id": 11, "video_id": 1, "frame_index": 1})
    return json.dumps(coco(images=rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            one_box(bbox=[0, 0, 3]),
            r"frame \d+ the box \[0, 0, 3\], and not x, y",
        ),
        (one_box(bbox="0 0 3 1"), "the box 0 0 3 1, and not x, y"),
        (one_box(track_id=None), "has no track_id"),
        (one_box(image_id=9), "none of the images has that id"),
        (one_box(category_id=9), "none of the categories has that id"),
        (images({"frame_index": 0.5}), "frame_index is 0.5, no whole number"),
        (
            images({"frame_index": 0}, {"frame_index": 7}),
            "two of its images have the id 10",
        ),
        (
            images({"frame_index": 0, "video_id": 8}),
            "none of the videos has that id",
        ),
        (
            json.dumps(coco(categories=[{"id": 3, "name": x} for x in "ab"])),
            "two of its categories have the id 3",
        ),
        (
            json.dumps(coco(categories=[{"id": 3, "name": None}])),
            "label=None",
        ),
    ],
)
def test_rows_of_coco_that_would_mislead_are_refused(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=f"{path}.*{message}"):
        read_boxes(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", "<annotations>", "is no whole XML"),
        ("a.xml", "<annotations><image/></annotations>", "has no tracks"),
        (
            "a.xml",
            '<annotations><track id="3"><box frame="x"/></track></annotations>',
            "a box of track 3 has no frame",
        ),
        ("a.json", "[1", "is no COCO list"),
        ("a.json", "[1, 2]", "is no COCO list"),
        ("a.json", json.dumps({"images": []}), "'categories' is missing"),
        ("a.json", json.dumps(coco(annotations=NO_TRACK)), "has no track_id"),
        (
            "a.json",
            json.dumps(coco(annotations=NO_AREA)),
            "without area in fra",
        ),
        ("a.json", json.dumps(coco(annotations=TWICE)), "two boxes in one fra"),
        ("a.txt", "1,2,3\n", "a.txt, line 1: not frame, track"),
        ("a.txt", "0,1,2,3,4,5\n", "line 1: .*frames counted from 1"),
        ("a.txt", "1.5,1,2,3,4,5\n", "line 1: .*frames counted from 1"),
        (
            "a.xml",
            POLYGON,
            r"track 3 \(run\) has a polygon in place of boxes",
        ),
        ("a.csv", "", "cannot be told from its name"),
    ],
)
def test_a_broken_list_is_explained(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=message):
        read_boxes(tmp_path / name)


def test_a_missing_list_and_an_unknown_format_are_named(tmp_path):
    with pytest.raises(SpecError, match="There is no .*nothing.json"):
        read_boxes(tmp_path / "nothing.json")
    with pytest.raises(SpecError, match="Received: format='cvt'. Did you mean"):
        read_boxes(tmp_path / "a.xml", format="cvt")
    with pytest.raises(SpecError, match="no puppet_mask/"):
        read_boxes(tmp_path, format="jhmdb")
    with pytest.raises(SpecError, match='Pass the folder "ucf action"'):
        read_boxes(tmp_path)
