"""Images in the forms that callers have become the bytes that a network was trained on, or are refused with what is right."""

import numpy as np
import pandas as pd
import pytest
from trainyard.networks.image_scoring import Images, as_bytes, shaped

GREY = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3) * 10
COLOUR = np.arange(4 * 5 * 6 * 3, dtype=np.uint16).astype(np.uint8).reshape(4, 5, 6, 3)


@pytest.mark.parametrize(
    "images",
    [
        GREY,
        GREY[..., np.newaxis],
        GREY[:, np.newaxis],
        GREY.reshape(4, 6),
        GREY / 255,
        (GREY / 255).astype(np.float16),
        GREY.astype(np.float64),
        GREY.astype(np.int64),
        np.array(GREY.tolist(), dtype=object),
        GREY.tolist(),
        (GREY / 255).tolist(),
        pd.DataFrame(GREY.reshape(4, 6)),
    ],
    ids=lambda each: f"{type(each).__name__} {np.shape(each)} {getattr(each, 'dtype', '')}",
)
def test_grey_images_are_read_as_they_were_trained_on(images):
    found = as_bytes(shaped(images, (2, 3)))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, GREY)


@pytest.mark.parametrize("images", [COLOUR, np.moveaxis(COLOUR, -1, 1), COLOUR / 255])
def test_coloured_images_are_read_as_they_were_trained_on(images):
    np.testing.assert_array_equal(as_bytes(shaped(images, (5, 6, 3))), COLOUR)


def test_booleans_are_black_and_white():
    assert as_bytes(np.array([[False, True]])).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (GREY[:, :1], r"of the shape \(4, 1, 3\), and \(n, 2, 3\) is right, or \(n, 2, 3, 1\)"),
        (GREY[0], "of the shape"),
        (GREY.astype(float) - 1, r"lie within -1.0..229.0"),
        (GREY * np.nan, "lie within nan"),
        (GREY.astype(np.int32) + 100, "lie within 100..330"),
        (GREY.astype(str), "numbers are due"),
        ([[[1, 2, 3]], [[1, 2]]], "not all of one shape"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_what_cannot_be_such_images_is_refused_with_what_is_right(images, complaint):
    with pytest.raises(ValueError, match=complaint):
        as_bytes(shaped(images, (2, 3)))


def test_many_images_are_answered_some_at_a_time_and_none_with_none():
    def network(images: np.ndarray) -> np.ndarray:
        return np.stack([images.sum(axis=(1, 2)), np.ones(len(images))], axis=1)

    model = Images(network, (2, 3))
    many = np.resize(GREY, (1_030, 2, 3))
    np.testing.assert_array_equal(model.predict(many)[:, 0], many.sum(axis=(1, 2)))
    assert model.predict([]).shape == (0, 2)
    assert model.predict(GREY[:0]).shape == (0, 2)
