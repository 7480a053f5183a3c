"""Input workers in other processes, by TensorFlow's data service.

    keras-twostream extract my_videos cache --spec short_side=128
    python examples/input_workers.py cache

A dispatcher and two worker processes on this machine decode and cut clips;
this process only receives batches, and could train on them with
`model.fit(batches)`. On several machines start `work` on each with the
dispatcher's address, and keep the cache where all of them see it.
"""

import multiprocessing
import sys
import time

WORKERS, ADDRESS, EPOCHS = 2, "localhost:5051", 2


def work() -> None:
    """A worker: it needs TensorFlow and the cache, none of our code."""
    import tensorflow as tf

    service = tf.data.experimental.service
    config = service.WorkerConfig(dispatcher_address=ADDRESS)
    service.WorkerServer(config).join()


def receive(cache: str) -> None:
    """Reads some epochs; every clip comes once in each."""
    import tensorflow as tf

    from keras_twostream import ClipSpec
    from keras_twostream.data import read_annotations, video_dataset

    service = tf.data.experimental.service
    config = service.DispatcherConfig(port=int(ADDRESS.partition(":")[2]))
    dispatcher = service.DispatchServer(config)
    spec = ClipSpec(short_side=128, crop=(112, 112))
    items = read_annotations(cache)
    for epoch in range(EPOCHS):
        batches = video_dataset(
            items,
            spec,
            batch_size=8,
            training=True,
            start_epoch=epoch,
            drop_remainder=False,  # each worker has a last batch
            ahead=True,
        )
        batches = batches.apply(
            service.distribute("distributed_epoch", dispatcher.target)
        )
        start = time.perf_counter()
        clips = sum(len(labels) for _, labels in batches)
        rate = clips / (time.perf_counter() - start)
        print(f"epoch {epoch}: {clips} clips, {rate:.1f} clips/s", flush=True)


if __name__ == "__main__":
    start = multiprocessing.get_context("spawn").Process
    workers = [start(target=work, daemon=True) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    receive(sys.argv[1])
