"""The process in which LLVM works: it is handed text, and hands back object code.

Run as a program (by :mod:`~lazygrad.engine.cpu.llvm_process`), it needs nothing of lazygrad but this file. It ends as
soon as nobody is at the other end any more, whatever LLVM is doing then.

A request is a length (8 bytes), a level (1 byte) and a text of that length. An answer is 1 for object code or 0 for a
reason (1 byte), a length (8 bytes), and the code or reason. Before the first request it says that it is there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

__all__ = ["READY", "emitted", "received", "target_machine"]

READY = b"r"
IDLE = 30.0  # seconds without a request, after which it ends: LLVM holds some 60 MB


def target_machine(binding: Any, triple: str, cpu: str, features: str, level: int) -> Any:
    """What LLVM must know of a machine to make code for it."""
    target = binding.Target.from_triple(triple)
    return target.create_target_machine(cpu=cpu, features=features, opt=level, reloc="pic", codemodel="default")


def emitted(binding: Any, target: Any, triple: str, text: str, level: int) -> bytes:
    """A module as object code; see :func:`lazygrad.engine.cpu.compiler.compiled`.

    Raises:
        RuntimeError: LLVM refuses the text.
    """
    header = f'target triple = "{triple}"\ntarget datalayout = "{target.target_data}"\n'
    context = binding.create_context()  # its own, so that nothing is left of it
    with binding.parse_assembly(header + text, context=context) as module:
        module.verify()
        options = binding.create_pipeline_tuning_options(speed_level=level)
        options.loop_vectorization = options.slp_vectorization = False
        builder = binding.create_pass_builder(target, options)
        if level > 1:
            passes = builder.getModulePassManager()
        else:
            passes = binding.create_new_module_pass_manager()
            passes.add_sroa_pass()
        passes.run(module, builder)
        return bytes(target.emit_object(module))


def received(source: Any, count: int) -> bytes:
    """Exactly so many bytes of a socket, or of a file.

    Raises:
        EOFError: there are no more.
    """
    take = source.recv if hasattr(source, "recv") else source.read
    pieces = []
    while count:
        piece = take(min(count, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _listen(source: Any, requests: list[tuple[int, str]], come: threading.Semaphore) -> None:
    """Append what is asked for, until nobody is at the other end: then the process ends."""
    try:
        while True:
            length, level = int.from_bytes(received(source, 8), "little"), received(source, 1)[0]
            requests.append((level, received(source, length).decode()))
            come.release()
    finally:
        os._exit(0)


def main(site: str) -> None:
    """Serve until nobody asks any more. ``site`` is the folder that llvmlite lies in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.fork():  # the program never sees this process among its children: who waits for those does not wait for it
        os._exit(0)
    sys.path.append(site)
    source, sink = os.fdopen(0, "rb", buffering=0), os.fdopen(1, "wb", buffering=0)
    requests: list[tuple[int, str]] = []
    come = threading.Semaphore(0)
    threading.Thread(target=_listen, args=(source, requests, come), daemon=True).start()
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    triple, cpu = binding.get_process_triple(), binding.get_host_cpu_name()
    try:
        features = binding.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM cannot ask every kind of processor
        features = ""
    targets: dict[int, Any] = {}
    sink.write(READY)
    while come.acquire(timeout=IDLE):
        level, text = requests.pop(0)
        try:
            if level not in targets:
                targets[level] = target_machine(binding, triple, cpu, features, level)
            good, answer = 1, emitted(binding, targets[level], triple, text, level)
        except Exception as reason:
            good, answer = 0, str(reason).encode()
        whole = memoryview(bytes([good]) + len(answer).to_bytes(8, "little") + answer)
        while whole:
            whole = whole[sink.write(whole) :]
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
