"""A WebSocket server of the websockets library, in a thread of its own."""

import asyncio
import threading

import websockets


class WebSocketServer:
    """Sends each message back."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def echo(socket):
            async for message in socket:
                await socket.send(message)

        async def main():
            server = await websockets.serve(echo, "127.0.0.1", 0, max_size=None)
            self.port = server.sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            started.set()
            self.ending = asyncio.Event()
            await self.ending.wait()
            server.close()
            await server.wait_closed()

        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(main(),), daemon=True)
        self.thread.start()
        assert started.wait(30)

    def stop(self):
        self.loop.call_soon_threadsafe(self.ending.set)
        self.thread.join(30)
        self.loop.close()
