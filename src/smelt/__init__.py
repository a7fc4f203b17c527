"""smelt: a workspace manager that makes packages built from source first-class.

``smelt.Workspace`` is what the commands use; it is imported when it is asked for.
"""

TYPE_CHECKING = False  # ``typing`` costs the warm path more than all of this module
if TYPE_CHECKING:
    from smelt.api.workspace import Workspace

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Workspace":
        from smelt.api.workspace import Workspace

        return Workspace
    raise AttributeError(f"module 'smelt' has no attribute '{name}'")
