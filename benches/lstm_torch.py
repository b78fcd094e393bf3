"""The PyTorch side of lstm.rs: for each shape `T,F,H train_p50 train_min train_cpu predict_p50 predict_min`, microseconds, one thread."""
import time
import torch

torch.set_num_threads(1)
torch.set_num_interop_threads(1)
torch.manual_seed(0)
BATCH = 32


class Net(torch.nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.lstm = torch.nn.LSTM(inputs, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def measure(call):
    for _ in range(50):
        call()
    start, cpu, times = time.perf_counter(), time.process_time_ns(), []
    while len(times) < 300 or (time.perf_counter() - start < 1.5 and len(times) < 100_000):
        a = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - a) / 1e3)
    cpu = (time.process_time_ns() - cpu) / 1e3 / len(times)
    times.sort()
    return times[len(times) // 2], times[0], cpu


print("torch", torch.__version__)
for steps, inputs, hidden in [(5, 6, 32), (60, 6, 32), (5, 16, 100), (60, 16, 100), (16, 14, 32)]:
    x, y, loss = torch.randn(BATCH, steps, inputs), torch.randn(BATCH, 1), torch.nn.MSELoss()
    best = None
    for fused in (False, True):  # the faster of both is the one to beat
        net = Net(inputs, hidden)
        adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)

        def train():
            adam.zero_grad(set_to_none=True)
            loss(net(x), y).backward()
            adam.step()

        times = measure(train)
        best = times if best is None else tuple(map(min, best, times))
    one = torch.randn(1, steps, inputs)
    net.eval()
    with torch.inference_mode():
        predict = measure(lambda: net(one))
    print(f"{steps},{inputs},{hidden}", *(f"{value:.2f}" for value in best + predict[:2]))
