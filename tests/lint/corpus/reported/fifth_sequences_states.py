"""The fifth set. Agents, flows and recurrence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case

CLIP = ((2, 3, 4, 16, 16),)


class ResNetBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.seq = nn.Sequential(
            nn.ReLU(), nn.Conv2d(c, c, 3, 1, 1), nn.ReLU(), nn.Conv2d(c, c, 3, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x += self.seq(x)
        return x


class ConvNetBlock(nn.Module):
    def __init__(self, cin, c):
        super().__init__()
        self.conv, self.mp = nn.Conv2d(cin, c, 3, 1, 1), nn.MaxPool2d(3, 2, 1)
        self.resnet1, self.resnet2 = ResNetBlock(c), ResNetBlock(c)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.mp(x)
        x = self.resnet1(x)
        return self.resnet1(x)


class ConvNetBlockMended(ConvNetBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.mp(x)
        x = self.resnet1(x)
        return self.resnet2(x)


def impala(block):
    return lambda: nn.Sequential(
        block(4, 8), block(8, 16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 16, 6)
    )


class MuZero(nn.Module):
    def __init__(self, d=16, actions=4):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d + actions, d), nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self.fc_reward1, self.fc_reward2 = nn.Linear(d, d), nn.Linear(d, d)
        self.reward = nn.Linear(d, 1)


class MuZeroOverwritten(MuZero):
    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        out = torch.cat([state, action], 1)
        out = self.fc2(F.relu(self.fc1(out)))
        state = self.norm(state + out)
        reward = F.relu(self.fc_reward1(state))
        reward = self.fc_reward2(state)
        return state, self.reward(F.relu(reward))


class MuZeroMended(MuZero):
    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        out = torch.cat([state, action], 1)
        out = self.fc2(F.relu(self.fc1(out)))
        state = self.norm(state + out)
        reward = F.relu(self.fc_reward1(state))
        reward = self.fc_reward2(reward)
        return state, self.reward(F.relu(reward))


class FlowStep(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.invconv = nn.Conv2d(c, c, 1, bias=False)
        self.f = nn.Sequential(
            nn.Conv2d(c // 2, 16, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 1),
            nn.ReLU(),
            nn.Conv2d(16, c, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        z = self.invconv(x)
        half = z.shape[1] // 2
        z1, z2 = z[:, :half], z[:, half:]
        h = self.f(z1)
        shift, scale = h[:, 0::2], torch.sigmoid(h[:, 1::2] + 2.0)
        z2 += shift
        z2 *= scale
        return torch.cat((z1, z2), dim=1)


class FlowStepMended(FlowStep):
    def forward(self, x: Tensor) -> Tensor:
        z = self.invconv(x)
        half = z.shape[1] // 2
        z1, z2 = z[:, :half], z[:, half:]
        h = self.f(z1)
        shift, scale = h[:, 0::2], torch.sigmoid(h[:, 1::2] + 2.0)
        z2 = z2 + shift
        z2 = z2 * scale
        return torch.cat((z1, z2), dim=1)


class ConvLSTMCell(nn.Module):
    def __init__(self, cin, hidden, kernel, padding):
        super().__init__()
        self.hidden, self.padding = hidden, padding
        self.conv = nn.Conv2d(cin + hidden, 4 * hidden, kernel)

    def forward(self, x: Tensor, h_cur: Tensor, c_cur: Tensor) -> Tensor:
        combined = F.pad(torch.cat([x, h_cur], dim=1), self.padding)
        cc_i, cc_f, cc_o, cc_g = torch.split(self.conv(combined), self.hidden, dim=1)
        i, f, o, g = torch.sigmoid(cc_i), torch.sigmoid(cc_f), torch.sigmoid(cc_o), torch.tanh(cc_g)
        c_next = f * c_cur + i * g
        h_next = o * torch.tanh(c_next)
        return h_next, c_next


class ConvLSTM(nn.Module):
    def __init__(self, padding, hidden=8):
        super().__init__()
        self.cell = ConvLSTMCell(3, hidden, 2, padding)
        self.head = nn.Conv2d(hidden, 1, 1)

    def forward(self, clip: Tensor) -> Tensor:
        b, _, t, h, w = clip.shape
        state = (clip.new_zeros(b, 8, h, w), clip.new_zeros(b, 8, h, w))
        outputs = []
        for step in range(t):
            state = self.cell(clip[:, :, step], *state)
            outputs.append(state[0])
        return self.head(torch.stack(outputs, 1).mean(1))


CASES: tuple[Case, ...] = (
    Case(
        "impala_block_twice",
        "pytorch/rl#3519",
        "TS203",
        impala(ConvNetBlock),
        impala(ConvNetBlockMended),
        ((2, 4, 16, 16),),
    ),
    Case(
        "muzero_overwritten",
        "JimOhman/model-based-rl#4",
        "TS107",
        MuZeroOverwritten,
        MuZeroMended,
        ((2, 16), (2, 4)),
    ),
    Case(
        "glow_in_place",
        "chaiyujin/glow-pytorch PR 6",
        "TS112",
        lambda: nn.Sequential(FlowStep(), FlowStep()),
        lambda: nn.Sequential(FlowStepMended(), FlowStepMended()),
        ((2, 8, 8, 8),),
    ),
    Case(
        "convlstm_even_kernel",
        "ndrplz/ConvLSTM_pytorch#27",
        "TS100",
        lambda: ConvLSTM((1, 1, 1, 1)),
        lambda: ConvLSTM((0, 1, 0, 1)),
        CLIP,
    ),
)
