"""Draw the pictures of the front page: an actor, named by the shipped weights.

python docs/write_pictures.py
"""

import tempfile
from pathlib import Path

from PIL import Image

import keras_twostream as kts
from keras_twostream import actors

IMAGES = Path(__file__).parent / "images"
MODEL = "spatiotemporal_resnet.actors"
ACTION, SEED = "jump", 1  # a clip of the held-out split
WIDTH, RATE = 800, 12.5


def main() -> None:
    """Write docs/images."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "an_actor.mp4"
        actors.write_clip(video, ACTION, seed=SEED, split="test")
        prediction = kts.predict(video, MODEL)
        drawn = Path(folder) / "sheet.png"
        moving = prediction.save_video(
            Path(folder) / "annotated.mp4", sheet=drawn
        )
        animate(moving, IMAGES / "annotated.webp")
        sheet = Image.open(drawn).convert("RGB")
        sheet.thumbnail((1000, 1200))
        sheet.save(IMAGES / "sheet.webp", quality=80)


def animate(video: Path, path: Path) -> None:
    """Write a video as a picture that moves, which any page shows."""
    rate = kts.data.probe(video).fps
    frames = []
    for number, frame in enumerate(kts.data.iter_frames(video)):
        if int(number * RATE / rate) == len(frames):
            picture = Image.fromarray(frame)
            height = round(picture.height * WIDTH / picture.width)
            frames.append(picture.resize((WIDTH, height)))
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=1000 / RATE,
        loop=0,
        quality=70,
    )


if __name__ == "__main__":
    main()
