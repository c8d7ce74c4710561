"""A multilayer perceptron on MNIST, daily: trained in the PyTorch service, registered, promoted when it beats the champion."""

from airflow.sdk import Param
from trainyard.airflow import training_pipeline

dag = training_pipeline(
    "pytorch_mnist_mlp_pipeline",
    description="Train, check and promote a multilayer perceptron with PyTorch",
    service="pytorch",
    model="mlp",
    data={"source": "builtin", "name": "mnist"},
    params={
        "epochs": Param(
            8,
            type="integer",
            minimum=1,
            maximum=10_000,
            description="Passes over the training rows",
        ),
        "batch_size": Param(
            256, type="integer", minimum=1, maximum=65_536, description="Rows a step"
        ),
        "learning_rate": Param(
            3e-3,
            type="number",
            exclusiveMinimum=0,
            maximum=10,
            description="The highest of the schedule",
        ),
        "hidden_units": Param(
            [512, 256],
            type="array",
            items={"type": "integer", "minimum": 1, "maximum": 16_384},
            minItems=1,
            maxItems=20,
            description="Units of each hidden layer",
        ),
        "dropout": Param(
            0.2, type="number", minimum=0, exclusiveMaximum=1, description="After each hidden layer"
        ),
    },
    registered="mnist-mlp-pytorch",
    metric="test_accuracy",
    minimum=0.97,
    tags=["ml", "pytorch", "mlflow"],
)
