"""The recipe of PyTorch's public MNIST example, as people run it: what `cnn` stands beside.

    python plain_torch_example.py IMAGES.npz SECONDS [EPOCHS]

Two convolutions, two dropouts, two dense layers, Adadelta whose rate falls by 0.7 an epoch, batches of 64
from a DataLoader that makes each sample a picture, a tensor and a normal tensor. Prints a JSON line: the
batches trained, the seconds they took, and the batches of an epoch. With EPOCHS it trains all of them and
prints the test accuracy after each, which is how EPOCHS_TO_GOAL in networks.py was counted.
"""

import json
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset):
    """Samples as torchvision's own MNIST gives them: a picture, transformed, and its label."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x.reshape(x.shape[:3]), y.astype(np.int64)
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.x[index])), int(self.y[index])


class Network(nn.Module):
    def __init__(self, side: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.early, self.late = nn.Dropout(0.25), nn.Dropout(0.5)
        self.dense, self.out = nn.Linear(64 * ((side - 4) // 2) ** 2, 128), nn.Linear(128, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.second(functional.relu(self.first(x))))
        x = torch.flatten(self.early(functional.max_pool2d(x, 2)), 1)
        return functional.log_softmax(self.out(self.late(functional.relu(self.dense(x)))), dim=1)


def main() -> None:
    path, seconds, *epochs = sys.argv[1:]
    images = np.load(path)
    torch.manual_seed(1)
    loader = DataLoader(Pictures(images["x_train"], images["y_train"]), batch_size=64, shuffle=True)
    network = Network(images["x_train"].shape[1], int(images["y_train"].max()) + 1)
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    if not epochs:
        batches, taken = train(network, loader, optimizer, float(seconds))
        print(json.dumps({"batches": batches, "seconds": taken, "batches_an_epoch": len(loader)}))
        return
    test = DataLoader(Pictures(images["x_test"], images["y_test"]), batch_size=1000)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(int(epochs[0])):
        batches, taken = train(network, loader, optimizer, float("inf"))
        print(
            json.dumps(
                {"epoch": epoch + 1, "seconds": taken, "test_accuracy": accuracy(network, test)}
            ),
            flush=True,
        )
        schedule.step()


def train(
    network: Network, loader: DataLoader, optimizer: torch.optim.Optimizer, seconds: float
) -> tuple[int, float]:
    """An epoch, or as much of one as the time allows; the first two batches, which set things up, are not counted."""
    network.train()
    begun, count = time.perf_counter(), -2
    for x, y in loader:
        if count == 0:
            begun = time.perf_counter()
        optimizer.zero_grad()
        loss = functional.nll_loss(network(x), y)
        loss.backward()
        optimizer.step()
        count += 1
        if count > 0 and time.perf_counter() - begun > seconds:
            break
    return count, time.perf_counter() - begun


def accuracy(network: Network, loader: DataLoader) -> float:
    network.eval()
    with torch.inference_mode():
        right = sum(int((network(x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)


if __name__ == "__main__":
    main()
