"""The half of the sandbox that runs inside MiniStack's process, in the venv."""
