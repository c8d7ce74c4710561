"""The recipe of Keras's public MNIST convnet, as people run it: what `cnn` stands beside.

    python plain_keras_example.py IMAGES.npz SECONDS [EPOCHS]

Two convolutions with pooling, a dropout, one dense layer, Adam, batches of 128 by `fit` from float32 arrays,
a tenth of the rows held out. Prints a JSON line: the batches trained, the seconds they took, and the batches of
an epoch. With EPOCHS it trains all of them and prints the test accuracy after each, which is how
`EPOCHS_TO_GOAL` in networks.py was counted.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

BATCH = 128
HELD_OUT = 0.1


def main() -> None:
    path, seconds, *epochs = sys.argv[1:]
    images = np.load(path)
    x, y = scaled(images["x_train"]), keras.utils.to_categorical(images["y_train"])
    keras.utils.set_random_seed(1)
    network = convnet(x.shape[1:], y.shape[1])
    if not epochs:
        kept = round(len(x) * (1 - HELD_OUT))
        batches, taken = train(network, x[:kept], y[:kept], float(seconds))
        print(
            json.dumps(
                {"batches": batches, "seconds": taken, "batches_an_epoch": -(-kept // BATCH)}
            )
        )
        return
    x_test, y_test = scaled(images["x_test"]), keras.utils.to_categorical(images["y_test"])
    for epoch in range(int(epochs[0])):
        begun = time.perf_counter()
        network.fit(x, y, batch_size=BATCH, epochs=1, validation_split=HELD_OUT, verbose=0)
        taken = time.perf_counter() - begun
        _, accuracy = network.evaluate(x_test, y_test, verbose=0)
        print(
            json.dumps({"epoch": epoch + 1, "seconds": taken, "test_accuracy": accuracy}),
            flush=True,
        )


def scaled(images: np.ndarray) -> np.ndarray:
    """Floats of (n, height, width, 1) from 0 to 1."""
    return images.reshape(*images.shape[:3], 1).astype("float32") / 255


def convnet(shape: tuple[int, ...], classes: int) -> keras.Model:
    network = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu", padding="same" if shape[0] < 10 else "valid"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    network.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return network


def train(network: keras.Model, x: np.ndarray, y: np.ndarray, seconds: float) -> tuple[int, float]:
    """An epoch, or as much of one as the time allows; two batches, which set things up, are not counted."""
    network.fit(x[: 2 * BATCH], y[: 2 * BATCH], batch_size=BATCH, verbose=0)
    deadline = Deadline(seconds)
    network.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[deadline])
    return deadline.batches, time.perf_counter() - deadline.begun


class Deadline(keras.callbacks.Callback):
    """Ends a `fit` when its time is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.batches, self.begun = seconds, 0, 0.0

    def on_train_begin(self, logs: object = None) -> None:  # noqa: ARG002 - as Keras calls it
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002 - as Keras calls it
        self.batches += 1
        if time.perf_counter() - self.begun > self.seconds:
            self.model.stop_training = True


if __name__ == "__main__":
    main()
