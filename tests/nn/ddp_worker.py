"""Two gloo processes train one Skip through Fabric and print what they end with."""

import torch
from lightning_fabric import Fabric
from torch import nn

from torchskip.nn import Skip


def main() -> None:
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp", num_nodes=1)
    fabric.launch()
    torch.manual_seed(0)
    block = Skip(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), scale="rezero")
    nn.init.ones_(block.scale.alpha)
    model = fabric.setup(nn.Sequential(block, nn.AdaptiveAvgPool2d(1)))
    optimizer = fabric.setup_optimizers(torch.optim.SGD(model.parameters(), lr=0.1))
    torch.manual_seed(100 + fabric.global_rank)
    for _ in range(3):
        optimizer.zero_grad()
        fabric.backward(model(torch.rand(2, 3, 9, 9)).square().mean())
        optimizer.step()
    total = sum(p.detach().double().abs().sum() for p in model.parameters())
    totals = fabric.all_gather(total)
    if fabric.global_rank == 0:
        print("TOTALS", *[repr(float(t)) for t in totals], flush=True)
    fabric.barrier()


if __name__ == "__main__":
    main()
