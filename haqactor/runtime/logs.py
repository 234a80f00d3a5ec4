"""How a node's log looks: friendly on a terminal, JSON otherwise; always on standard error.

One rule: a library does not configure the program it lives in. A node gets a logger of its own, and nothing
global is touched."""

import sys
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from haqactor.config import NodeConfig

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def node_logger(config: NodeConfig, stream: TextIO | None = None) -> FilteringBoundLogger:
    """The logger of one node, as ``log_level`` and ``log_format`` say."""
    out = stream if stream is not None else sys.stderr
    console = config.log_format == "console" or (config.log_format == "auto" and out.isatty())
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if console else "iso", utc=not console),
        structlog.processors.format_exc_info,
    ]
    if console:
        processors.append(structlog.dev.ConsoleRenderer(colors=out.isatty()))
    else:
        processors.append(structlog.processors.JSONRenderer())
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.log_level]),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger
