"""RabbitMQ by pika, which shares no code with the crate.

    client.py PORT PASSWORD_FILE list QUEUE              each message: its application and its id; all stay there
    client.py PORT PASSWORD_FILE drop QUEUE ID…          takes messages out
    client.py PORT PASSWORD_FILE replace QUEUE ID [BODY] takes one out and puts it at the end, with another body if one is given
    client.py PORT PASSWORD_FILE put QUEUE APP ID BODY   puts one in
"""

import sys

import pika

port, password_file, command, queue, *words = sys.argv[1:]
with open(password_file) as file:
    login = pika.PlainCredentials("app", file.read().strip())
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(port), "/", login))
channel = connection.channel()
channel.confirm_delivery()


def messages():
    """All of them, none acknowledged. By one consumer, whose messages go back in their order; those of `get` do not."""
    channel.basic_qos(prefetch_count=60000)
    count = channel.queue_declare(queue, passive=True).method.message_count
    found = []
    if count:
        for method, properties, body in channel.consume(queue):
            found.append((method.delivery_tag, properties, body))
            if len(found) == count:
                break
        channel.cancel()
    return found


def put(app, name, body):
    properties = pika.BasicProperties(app_id=app, message_id=name, delivery_mode=2)
    channel.basic_publish("", queue, body, properties, mandatory=True)


if command == "put":
    app, name, body = words
    put(app, name, body.encode())
else:
    found = messages()
    if command == "list":
        for _, properties, _ in found:
            print(properties.app_id, properties.message_id)
    else:
        gone = words if command == "drop" else words[:1]
        app = None
        for tag, properties, body in found:
            if properties.message_id in gone:
                app, kept = properties.app_id, body
                channel.basic_ack(tag)
        assert app is not None, "there is no such message"
    # All that were not acknowledged, in their order.
    channel.basic_nack(0, multiple=True, requeue=True)
    if command == "replace":
        put(app, gone[0], words[1].encode() if len(words) > 1 else kept)
connection.close()
