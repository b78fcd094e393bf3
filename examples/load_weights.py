#!/usr/bin/env python3
"""Loads an export of `tickcast model export` and makes the forecast that is in it, with PyTorch where it is installed and with
numpy alone where not.

    python3 -m venv .venv && .venv/bin/pip install numpy
    .venv/bin/python examples/load_weights.py btc.safetensors

Prints both forecasts as prices and the largest difference, in units of the scale and relative to the price. Exits with 1 where
that is above 1e-5, with 2 when it was called wrongly.
"""
import argparse
import json
import struct
import sys

import numpy as np

TOLERANCE = 1e-5
OUTPUTS = 7  # per horizon: one widens, one shifts, five move the quantiles one by one
WIDEN_LIMIT = 1.5
TYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


def read(path):
    """The tensors by name, and the metadata: 8 bytes of length, a header in JSON, the numbers."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[start:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def with_numpy(tensors, metadata, sequence):
    """The outputs of the network for one sequence, [steps, inputs]."""
    hidden = int(metadata["hidden"])
    for layer in range(int(metadata["layers"])):
        w_ih, w_hh = tensors[f"weight_ih_l{layer}"], tensors[f"weight_hh_l{layer}"]
        bias = tensors[f"bias_ih_l{layer}"] + tensors[f"bias_hh_l{layer}"]
        h = c = np.zeros(hidden, np.float32)
        states = []
        for step in sequence:
            i, f, g, o = np.split(w_ih @ step + w_hh @ h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states.append(h)
        sequence = np.stack(states)
    return tensors["head.weight"] @ sequence[-1] + tensors["head.bias"]


def with_torch(torch, tensors, metadata, sequence):
    """The same by torch.nn.LSTM and torch.nn.Linear, which take the tensors under their own names."""
    layers = int(metadata["layers"])
    lstm = torch.nn.LSTM(sequence.shape[1], int(metadata["hidden"]), layers, batch_first=True)
    own = {name: torch.tensor(values) for name, values in tensors.items() if name.split("_")[0] in ("weight", "bias")}
    lstm.load_state_dict(own)
    head = torch.nn.Linear(*reversed(tensors["head.weight"].shape))
    head.load_state_dict({name: torch.tensor(tensors[f"head.{name}"]) for name in ("weight", "bias")})
    with torch.no_grad():
        states, _ = lstm(torch.tensor(sequence)[None])
        return head(states[0, -1]).numpy()


def quantiles(outputs, metadata, bases):
    """Each horizon's five quantiles, [horizons, 5], in units of its scale: outputs correct those of the layer below."""
    gains = np.array([float(gain) for gain in metadata["head_gains"].split(",")], np.float32)[:, None]
    outputs = outputs.reshape(-1, OUTPUTS) * gains
    widening = np.exp(np.clip(outputs[:, :1], -WIDEN_LIMIT, WIDEN_LIMIT))
    return np.sort(bases * widening + outputs[:, 1:2] + 0.5 * outputs[:, 2:], axis=1)


def main():
    parser = argparse.ArgumentParser(description="Makes the forecast of an export, and compares it with tickcast's own.")
    parser.add_argument("file", help="as written by: tickcast model export")
    parser.add_argument("--require", choices=["torch"], help="fail where this is not installed")
    options = parser.parse_args()
    tensors, metadata = read(options.file)
    if "example.inputs" not in tensors:
        print(f"{options.file}: no example: the symbol had no whole sequence yet", file=sys.stderr)
        return 2
    ways = {"numpy": with_numpy}
    try:
        import torch

        ways["torch"] = lambda *arguments: with_torch(torch, *arguments)
    except ImportError as error:
        if options.require:
            print(f"torch cannot be imported: {error}", file=sys.stderr)
            return 2

    print(f"{metadata['example.symbol']} at {metadata['example.issued_at']}, version {metadata['version']}")
    last_price, scales = tensors["example.last_price"][0], tensors["example.scales"][:, None]
    expected = tensors["example.quantiles"]

    def show(name, found):
        for horizon, prices in zip(metadata["horizons"].split(","), last_price * np.exp(scales * found)):
            print(f"{name:<9}{horizon:<5}" + " ".join(f"{price:.6f}" for price in prices))

    show("tickcast", expected)
    largest = 0.0
    for name, way in ways.items():
        outputs = way(tensors, metadata, tensors["example.inputs"])
        found = quantiles(outputs, metadata, tensors["example.bases"])
        show(name, found)
        difference = float(np.abs(found - expected).max())
        relative = float(np.abs(np.expm1(scales * (found - expected))).max())
        print(f"{name}: largest difference {difference:.2e} of the scale, {relative:.2e} of the price")
        largest = max(largest, difference) if np.isfinite(difference) else float("inf")
    return 0 if largest <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
