"""A loop of one round has no next round that would read its stream."""

import pytest
import torch
from torch import nn

from torchskip.lint.check import check


class Quantiser(nn.Module):
    """Codes what the codebooks before have left (EnCodec)."""

    def __init__(self, books, used):
        super().__init__()
        self.encoder = nn.Conv1d(2, 8, 3, padding=1)
        self.books = nn.ModuleList(nn.Linear(8, 16) for _ in range(books))
        self.used = used

    def forward(self, wave):
        residual = self.encoder(wave).transpose(1, 2)
        codes = []
        for book in self.books[: self.used]:
            chosen = book(residual).softmax(-1)
            residual = residual - chosen @ book.weight
            codes.append(chosen)
        return torch.stack(codes)


class Shadowed(Quantiser):
    """Binds the sum to the branch's name."""

    def forward(self, wave):
        residual = self.encoder(wave).transpose(1, 2)
        codes = []
        for book in self.books[: self.used]:
            chosen = book(residual)
            codes.append(chosen.softmax(-1))
            chosen = residual - chosen @ book.weight
        return torch.stack(codes)


class Left(Quantiser):
    """Leaves the loop's stream behind."""

    def forward(self, wave):
        residual = first = self.encoder(wave).transpose(1, 2)
        for book in self.books[: self.used]:
            residual = residual + book(residual) @ book.weight
        return first


def told(model):
    return check(model, torch.zeros(2, 2, 12), select=["TS107"]).findings


@pytest.mark.parametrize("used", [1, 2, 3])
def test_what_a_further_round_would_read_is_no_fault(used):
    assert not told(Quantiser(3, used))


@pytest.mark.parametrize("used", [1, 2])
@pytest.mark.parametrize("kind", [Shadowed, Left])
def test_what_no_round_would_read_is_told(kind, used):
    assert told(kind(2, used))


class Causal(nn.Module):
    """Reads a video frame by frame, with the last features of the frames before (Wan)."""

    def __init__(self, along):
        super().__init__()
        self.first, self.conv = nn.Conv3d(2, 4, 1), nn.Conv3d(4, 2, 1)
        self.along = along

    def forward(self, video):
        features = [video.new_zeros(0)]
        made = []
        for frame in video.split(1, 2):
            x = self.first(frame)
            last = x.clone()
            if features[0].numel():
                last = torch.cat([features[0], last], self.along)
            made.append(self.conv(x + features[0]) if features[0].numel() else self.conv(x))
            features[0] = last
        return torch.cat(made, 2)


class Forgetful(Causal):
    """Binds the memory to a name alone."""

    def forward(self, video):
        before, *others = (self.first(frame) for frame in video.split(1, 2))
        made = [self.conv(before)]
        for x in others:
            last = torch.cat([before, x], self.along)
            made.append(self.conv(x + before))
        assert last.shape
        return torch.cat(made, 2)


@pytest.mark.parametrize(
    ("kind", "along", "found"), [(Causal, 2, 0), (Causal, 1, 1), (Forgetful, 2, 1)]
)
def test_a_memory_of_frames_is_for_a_later_call(kind, along, found):
    video = torch.zeros(2, 2, 2, 4, 4)
    assert len(check(kind(along), video, select=["TS107"]).findings) == found
