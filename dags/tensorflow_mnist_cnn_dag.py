"""A convolutional network on MNIST, daily: trained in the TensorFlow service, registered, promoted when it beats the champion."""

from airflow.sdk import Param
from trainyard.airflow import training_pipeline

dag = training_pipeline(
    "tensorflow_mnist_cnn_pipeline",
    description="Train, check and promote a convolutional network with TensorFlow",
    service="tensorflow",
    model="cnn",
    data={"source": "builtin", "name": "mnist"},
    params={
        "epochs": Param(
            5,
            type="integer",
            minimum=1,
            maximum=10_000,
            description="Passes over the training rows",
        ),
        "batch_size": Param(
            128, type="integer", minimum=1, maximum=65_536, description="Rows a step"
        ),
        "learning_rate": Param(
            1e-2,
            type="number",
            exclusiveMinimum=0,
            maximum=10,
            description="The highest of the schedule",
        ),
        "conv_channels": Param(
            [16, 32, 64],
            type="array",
            items={"type": "integer", "minimum": 1, "maximum": 16_384},
            minItems=1,
            maxItems=10,
            description="Channels of each stage",
        ),
        "augment": Param(
            False, type="boolean", description="Shift each training image by up to two pixels"
        ),
    },
    registered="mnist-cnn-tensorflow",
    metric="test_accuracy",
    minimum=0.98,
    tags=["ml", "tensorflow", "mlflow"],
)
