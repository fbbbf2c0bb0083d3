import asyncio, ssl, sys, websockets

async def main(url, path):
    context = None
    if url.startswith("wss"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    compression = "deflate" if url.endswith("/ws") else None
    options = {"max_size": None, "compression": compression}
    connecting = (
        websockets.unix_connect(path, url, **options) if path
        else websockets.connect(url, ssl=context, **options)
    )
    async with connecting as socket:
        assert bool(socket.extensions) == bool(compression), socket.extensions
        await socket.send("Hello")
        assert await socket.recv() == "Hello"
        large = bytes(i % 251 for i in range(1024 * 1024))
        await socket.send(large)
        assert await socket.recv() == large
        await asyncio.wait_for(await socket.ping(), 60)
        await socket.close(1000, "done")
    assert socket.close_code == 1000 and socket.close_reason == "done", (socket.close_code, socket.close_reason)
    print("passed")

asyncio.run(main(sys.argv[1], sys.argv[2]))
