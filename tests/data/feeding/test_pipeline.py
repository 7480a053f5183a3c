"""Batches from video files: order, draws, resuming, files set aside."""

import dataclasses
import gc
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from foreign_layouts import moving_frames, true_fields, write_layout
from numbered_videos import numbered_frames, numbers, write_video

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras_twostream import ClipSpec
from keras_twostream.data import Annotations, clips, read_annotations
from keras_twostream.data.feeding.pipeline import video_dataset
from keras_twostream.data.feeding.stores import frame_store
from keras_twostream.data.lists.items import Item
from keras_twostream.data.video import reading
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    VideoError,
)

SPEC = ClipSpec(
    clip_length=2,
    train_strides=(1, 4),
    temporal_stride=2,
    flow_length=1,
    short_side=24,
    crop=(16, 16),
)
RGB = SPEC.replace(streams=("rgb",))


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Ten videos; video i is 20 + i frames long and has the label i."""
    folder = tmp_path_factory.mktemp("videos")
    return [
        (write_video(folder / f"{i}.mp4", numbered_frames(20 + i), qp="1"), i)
        for i in range(10)
    ]


def batches(dataset):
    return [
        ({name: array.numpy() for name, array in clip.items()}, label.numpy())
        for clip, label in dataset
    ]


def labels(dataset):
    return [label.tolist() for _, label in batches(dataset)]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def assert_same(left, right):
    assert len(left) == len(right)
    for (clip, label), (other, other_label) in zip(left, right, strict=True):
        np.testing.assert_array_equal(label, other_label)
        for stream in clip:
            np.testing.assert_array_equal(clip[stream], other[stream])


def test_testing_gives_the_clips_of_the_protocol_in_order(items):
    dataset = video_dataset(items, SPEC, 4)
    assert len(dataset) == 3
    rows = batches(dataset)
    assert [len(label) for _, label in rows] == [4, 4, 2]
    assert np.concatenate([label for _, label in rows]).tolist() == list(
        range(10)
    )
    assert rows[0][1].dtype == np.int32
    expected = clips(items[5][0], SPEC)
    for stream in SPEC.streams:
        np.testing.assert_array_equal(
            rows[1][0][stream][1], expected[stream][0]
        )


def test_testing_rounds_the_centre_as_the_clip_does(items):
    places = set()
    for rounding in ("floor", "round"):
        spec = RGB.replace(crop=(17, 17), crop_rounding=rounding)
        ((clip, _),) = batches(video_dataset(items[:1], spec, 1))
        np.testing.assert_array_equal(
            clip["rgb"], clips(items[0][0], spec)["rgb"]
        )
        places.add(clip["rgb"].tobytes())
    assert len(places) == 2


def test_shapes_are_known(items):
    clip, label = video_dataset(items, SPEC, 4, training=True).element_spec
    assert clip["rgb"].shape == (4, 2, 16, 16, 3)
    assert clip["flow"].shape == (4, 2, 16, 16, 2)
    assert (clip["rgb"].dtype, clip["flow"].dtype) == (tf.uint8, tf.float32)
    assert label.shape == (4,)


def test_classes_of_any_size_have_even_shares(items):
    uneven = [
        (path, int(number >= 8)) for number, (path, _) in enumerate(items)
    ]
    options = {"training": True, "seed": 3, "even_classes": True}
    dataset = video_dataset(uneven, RGB, 10, repeat=True, **options)
    found = batches(dataset.take(20))
    share = np.mean([label for _, label in found])
    assert share == pytest.approx(0.5, abs=0.1)  # 0.2 of the videos
    # Of two videos that come again, each clip is another one.
    for clip, label in found[:5]:
        again = clip["rgb"][label == 1].reshape((label == 1).sum(), -1)
        assert len(np.unique(again, axis=0)) >= len(again) - 1
    same = video_dataset(uneven, RGB, 10, repeat=True, start_epoch=2, **options)
    assert_same(batches(same.take(1)), found[2:3])
    numbered = [(path, number) for number, (path, _) in enumerate(uneven)]
    options["even_classes"] = [label for _, label in uneven]
    by_number = video_dataset(numbered, RGB, 10, repeat=True, **options)
    drawn = np.array(labels(by_number.take(20)))
    assert (drawn >= 8).mean() == share


def test_each_pass_is_the_next_epoch(items):
    dataset = video_dataset(items, RGB, 4, training=True, seed=3)
    assert len(dataset) == 2  # the last, smaller batch is left out
    first, second = batches(dataset), batches(dataset)
    assert not np.array_equal(first[0][1], second[0][1])
    again = video_dataset(items, RGB, 4, training=True, seed=3)
    assert_same(batches(again), first)
    assert_same(batches(again), second)


def test_looking_at_the_first_batch_does_not_use_up_an_epoch(items):
    dataset = video_dataset(items, RGB, 2, training=True)
    for _, label in dataset:
        peeked = label.numpy()
        break
    assert labels(dataset)[0] == peeked.tolist()


def test_every_pass_over_one_short_batch_is_an_epoch(items):
    one = video_dataset(items, RGB, 16, training=True)
    drawn = labels(one) + labels(one)
    assert sorted(drawn[0]) == sorted(drawn[1]) == list(range(10))
    assert drawn == [
        label
        for epoch in range(2)
        for label in labels(
            video_dataset(items, RGB, 16, training=True, start_epoch=epoch)
        )
    ]


def test_a_run_resumes_in_the_middle_of_an_epoch(items):
    def whole(**options):
        return video_dataset(items, SPEC, 3, training=True, **options)

    endless = batches(whole(repeat=True).take(8))
    resumed = whole(repeat=True, start_epoch=1, start_step=2)
    assert_same(batches(resumed.take(3)), endless[5:])
    once = whole(start_epoch=1, start_step=2)
    assert_same(batches(once), endless[5:6])
    assert_same(batches(once)[:2], endless[6:])  # then whole epochs


def test_the_number_of_workers_changes_nothing(items):
    one = video_dataset(items, SPEC, 5, training=True, workers=1)
    four = video_dataset(items, SPEC, 5, training=True, workers=4)
    assert_same(batches(one), batches(four))


def test_memory_keeps_middles_that_were_cut_out(items):
    spec = RGB.replace(cut_to=(16, 40))
    plain = video_dataset(items, spec, 5)
    cached = video_dataset(items, spec, 5, cache="memory")
    assert_same(batches(cached), batches(plain))


@pytest.mark.parametrize("limit", [10**9, 100_000, 0])
def test_the_memory_cache_changes_nothing(items, limit):
    plain = video_dataset(items, SPEC, 5, training=True)
    cached = video_dataset(
        items, SPEC, 5, training=True, cache="memory", cache_bytes=limit
    )
    for _ in range(2):
        assert_same(batches(cached), batches(plain))


def test_what_memory_has_no_room_for_is_not_decoded_whole(items, monkeypatch):
    read, asked = reading.read_frames, []

    def watch(path, indices, **options):
        asked.append(len(indices))
        return read(path, indices, **options)

    monkeypatch.setattr(reading, "read_frames", watch)
    store = frame_store("memory", 100_000, RGB, [])
    for path, _ in items * 2:
        store.open(path)
    # Two videos fit; one frame tells the size of each.
    assert sorted(asked) == [1] * 10 + [20, 21]


def test_an_epoch_sees_every_video_once(items):
    for seed in range(3):
        seen = labels(video_dataset(items, RGB, 5, training=True, seed=seed))
        assert sorted(flat(seen)) == list(range(10))


def test_training_varies_place_and_stride(items):
    dataset = video_dataset(
        items, RGB, 10, training=True, augment="centre", repeat=True
    )
    shown = np.concatenate(
        [
            numbers(clip["rgb"].reshape(-1, 16, 16, 3)).reshape(-1, 2)
            for clip, _ in batches(dataset.take(10))
        ]
    )
    assert set(shown[:, 1] - shown[:, 0]) == {1, 2, 3, 4}
    assert len(set(shown[:, 0])) > 12


def test_mirror_only_where_wanted(items):
    def brighter_left(**options):
        dataset = video_dataset(
            items, RGB, 10, training=True, augment="centre", **options
        )
        clip = batches(dataset)[0][0]["rgb"].astype(int)
        return clip[..., :6, :].mean((1, 2, 3, 4)) > clip[..., 10:, :].mean(
            (1, 2, 3, 4)
        )

    assert 0 < brighter_left().sum() < 10
    assert brighter_left(mirror=False).all()


def test_colour_changes_rgb_alone(items):
    plain = batches(video_dataset(items, SPEC, 10, training=True))[0][0]
    changed = batches(
        video_dataset(items, SPEC, 10, training=True, colour=0.4)
    )[0][0]
    assert np.abs(plain["rgb"].astype(int) - changed["rgb"]).mean() > 3
    np.testing.assert_array_equal(plain["flow"], changed["flow"])


def test_several_labels_become_a_vector(items):
    several = [(path, (label % 3, 3)) for path, label in items]
    _, label = next(iter(video_dataset(several, RGB, 4)))
    assert label.dtype == tf.float32
    assert label.numpy().tolist() == [
        [1, 0, 0, 1],
        [0, 1, 0, 1],
        [0, 0, 1, 1],
        [1, 0, 0, 1],
    ]


def test_vectors_are_as_long_as_the_model_has_classes(items):
    several = [(path, (label % 2,)) for path, label in items]
    dataset = video_dataset(several, RGB, 4, num_classes=6)
    assert next(iter(dataset))[1].shape == (4, 6)


def test_labels_do_not_pass_for_other_classes_of_the_model(items):
    """A folder's classes are in the order of the alphabet."""
    listed = Annotations(
        tuple(Item(str(path), (label % 2,)) for path, label in items[:4]),
        ("drink", "wave"),
        Path(),
    )

    def read(classes, videos=listed):
        spec = dataclasses.replace(RGB, classes=classes)
        return labels(video_dataset(videos, spec, 4))

    assert read(()) == read(("drink", "wave", "sit")) == [[0, 1, 0, 1]]
    model = ("wave", "sit", "drink")
    with pytest.raises(SpecError, match=r"otherwise than the model.*in_order"):
        read(model)
    assert read(model, listed.in_order_of(model)) == [[2, 0, 2, 0]]
    assert read(model, listed.pairs()) == [[0, 1, 0, 1]]
    with pytest.raises(SpecError, match=r"know the classes drink.*classes="):
        read(("wave", "sit"))


@pytest.mark.parametrize("label", [6, (0, 6)])
def test_a_label_beyond_the_classes_names_its_video(items, label):
    wrong = [*items[:3], (items[3][0], label)]
    with pytest.raises(SpecError, match=r"3\.mp4 has the label 6.*0 to 5"):
        video_dataset(wrong, RGB, 4, num_classes=6)


def test_a_label_that_is_not_known_is_no_class(items):
    some = [(items[0][0], (-1,)), (items[1][0], (0, 2)), (items[2][0], -1)]
    _, label = next(iter(video_dataset(some, RGB, 3)))
    assert label.numpy().tolist() == [[0, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert labels(video_dataset([(items[0][0], -1)], RGB, 1)) == [[-1]]


@pytest.mark.parametrize("label", [-7, (-7,), (0, -7)])
def test_a_label_below_minus_one_names_its_video(items, label):
    wrong = [*items[:3], (items[3][0], label)]
    with pytest.raises(SpecError, match=r"3\.mp4 has the label -7: classes"):
        video_dataset(wrong, RGB, 4)


def test_annotations_are_items(items, tmp_path):
    table = tmp_path / "list.txt"
    table.write_text("".join(f"{path} {label}\n" for path, label in items))
    dataset = video_dataset(read_annotations(table, root="/"), RGB, 10)
    assert labels(dataset) == [list(range(10))]


@pytest.fixture
def broken(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    return [(text, 90), (empty, 91), (tmp_path / "missing.mp4", 92)]


def test_unreadable_files_are_set_aside_when_testing(items, broken):
    with pytest.warns(UserWarning, match="Set aside: Cannot read") as caught:
        dataset = video_dataset([*broken, *items], RGB, 4)
    assert len(caught) == 3
    assert len(dataset) == 3
    assert flat(labels(dataset)) == list(range(10))
    reasons = dataset.skipped
    assert list(reasons) == [str(path) for path, _ in broken]
    assert "the file is empty" in reasons[str(broken[1][0])]


def test_training_goes_on_with_the_next_file(items, broken):
    with pytest.warns(UserWarning, match="Set aside"):
        dataset = video_dataset(
            [*broken, *items], RGB, 11, training=True, seed=1
        )
        seen = labels(dataset)
    assert len(seen) == 1 and sorted(seen[0]) == [0, *range(10)]
    assert len(dataset.skipped) == 3


def test_a_bad_file_has_one_stand_in_whenever_it_turned_out_bad(
    items, tmp_path
):
    path = write_layout(
        "denseflow", tmp_path, moving_frames(), true_fields()[:0]
    )
    for image in sorted(path.iterdir())[1:]:
        image.write_bytes(b"no image")

    def first_batch(known):
        dataset = video_dataset([(path, 90), *items], RGB, 11, training=True)
        dataset.skipped.update(known)
        return batches(dataset)

    with pytest.warns(UserWarning, match="Set aside"):
        found_out = first_batch({})
    assert_same(found_out, first_batch({str(path): "known"}))


def test_a_list_of_bad_files_alone_raises(broken):
    with (
        pytest.warns(UserWarning, match="Set aside"),
        pytest.raises(VideoError, match="None of the 3 videos can be read"),
    ):
        video_dataset(broken, RGB, 2)


def test_errors_that_no_video_caused_are_raised(items, monkeypatch):
    def read_all(**options):
        dataset = video_dataset(items, RGB, 2, training=True, **options)
        with pytest.raises(tf.errors.OpError) as caught:
            batches(dataset)
        assert not dataset.skipped
        output = str(caught.value)
        # Here, not within a later dataset's thread: a broken iterator that
        # is freed there would wait for that thread itself.
        del dataset, caught
        gc.collect()
        return output

    def wrong(*arguments):
        raise SpecError("a sampler of one's own")

    def missing(*arguments, **options):
        raise MissingLibraryError("pip install it")

    assert "SpecError: a sampler of one's own" in read_all(sampler=wrong)
    assert "SpecError: a sampler of one's own" in read_all(augment=wrong)
    monkeypatch.setattr(reading, "read_frames", missing)
    assert "MissingLibraryError: pip install it" in read_all()


def test_fit_draws_a_new_epoch_each_time(items):
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, x):
            return keras.ops.mean(keras.ops.cast(x, "float32"), axis=(1, 2, 3))

    inputs = keras.Input((2, 16, 16, 3), name="rgb", dtype="uint8")
    outputs = keras.layers.Dense(10)(Spy()(inputs))
    model = keras.Model([inputs], outputs)
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    dataset = video_dataset(items, RGB, 2, training=True)
    recorded = dataset.map(
        lambda clip, label: (
            clip,
            tf.numpy_function(
                lambda value: (seen.append(value.tolist()), value)[1],
                [label],
                tf.int32,
            ),
        )
    ).map(lambda clip, label: (clip, tf.ensure_shape(label, (2,))))
    history = model.fit(recorded, epochs=3, verbose=0)
    assert len(history.epoch) == 3
    expected = [
        label
        for epoch in range(3)
        for label in labels(
            video_dataset(items, RGB, 2, training=True, start_epoch=epoch)
        )
    ]
    assert seen[-15:] == expected


def test_wrong_arguments_are_refused(items):
    with pytest.raises(SpecError, match="at least one"):
        video_dataset([], RGB, 4)
    with pytest.raises(SpecError, match="must be a whole number, 1 or more"):
        video_dataset(items, RGB, 0)
    with pytest.raises(SpecError, match="do not fill one batch"):
        video_dataset(items, RGB, 11, repeat=True)
    with pytest.raises(SpecError, match=r"0\.\.2. Received: start_step=3"):
        video_dataset(items, RGB, 4, start_step=3)
    with pytest.raises(SpecError, match="`augment` must be one of"):
        video_dataset(items, RGB, 4, training=True, augment="crop")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((RGB, [("a.mp4", 0)], 4), "`items` comes before `spec`"),
        (("list.txt", RGB, 4), r"Read it first: read_annotations\('list.txt'"),
        ((["a.mp4"], RGB, 4), r"the path 'a.mp4' alone: add its label"),
        (([(0, "a.mp4")], RGB, 4), "Path and label are swapped"),
        (([("a.mp4", "run")], RGB, 4), "number of a class.*Received: 'run'"),
        (([("a.mp4", 0.5)], RGB, 4), "number of a class.*Received: 0.5"),
        (([("a.mp4", 0, 1)], RGB, 4), r"\(path, label\) pairs in video_datas"),
        ((5, RGB, 4), r"must be an Annotations, or .*Received: int"),
        (([("a.mp4", 0)], 4, RGB), "`spec` must be a ClipSpec"),
        (([("a.mp4", 0)], RGB, "4"), "`batch_size` must be a whole number"),
    ],
)
def test_wrong_arguments_say_what_to_pass(arguments, message):
    with pytest.raises(SpecError, match=message):
        video_dataset(*arguments)


def test_a_table_of_pandas_says_how_it_is_passed():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"path": ["a.mp4"], "label": [0]})
    with pytest.raises(SpecError, match=r"list\(zip\(table.path, table.label"):
        video_dataset(table, RGB, 4)


def test_a_model_is_no_clip():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(SpecError, match=r"Pass the clip .*clip_spec\(model\)"):
        video_dataset([("a.mp4", 0)], model, 4)


def test_fit_does_not_speak_of_shuffling(items):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        dataset = video_dataset(items, RGB, 2, training=True)
        flat_clips = dataset.map(
            lambda clip, label: (
                tf.reduce_mean(tf.cast(clip["rgb"], tf.float32), [1, 2, 3]),
                label,
            )
        )
        model = keras.Sequential([keras.layers.Dense(10)])
        model.compile(
            "sgd", "sparse_categorical_crossentropy", run_eagerly=True
        )
        model.fit(flat_clips, verbose=0, steps_per_epoch=1)
