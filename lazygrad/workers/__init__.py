"""Many processes that run one program: what they can do together.

Nothing here carries bytes by itself: MPI does, or NCCL between GPUs.
"""

from lazygrad.workers.communicator import Communicator as Communicator
from lazygrad.workers.communicator import Request as Request
from lazygrad.workers.communicator import communicator as communicator
from lazygrad.workers.parts import part as part
from lazygrad.workers.threads import side_by_side as side_by_side
from lazygrad.workers.threads import together as together
