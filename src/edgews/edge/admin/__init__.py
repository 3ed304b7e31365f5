"""The admin address: the live page, its feed, and the metrics. On asyncio."""
