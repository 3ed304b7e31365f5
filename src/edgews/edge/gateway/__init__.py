"""The gateway at work, on asyncio."""
