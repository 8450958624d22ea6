"""The API as small Flask services are usually written. The benchmark compares prima-api with it."""

import os
import uuid

import boto3
from flask import Flask, jsonify, request

app = Flask(__name__)

table = boto3.resource(
    "dynamodb",
    endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
    region_name=os.environ.get("AWS_REGION", "us-east-1"),
).Table(os.environ.get("DYNAMODB_TABLE", "users"))


def avatar_url(user_id, avatar_id):
    if not avatar_id:
        return ""
    return f"{request.host_url}users/{user_id}/avatar?v={avatar_id}"


@app.get("/readyz")
def ready():
    return jsonify(status="ok")


@app.get("/users")
def list_users():
    page = table.scan()
    items = page["Items"]
    while "LastEvaluatedKey" in page:
        page = table.scan(ExclusiveStartKey=page["LastEvaluatedKey"])
        items.extend(page["Items"])
    return jsonify(
        [
            {
                "id": item["id"],
                "name": item["name"],
                "email": item["email"],
                "avatar_url": avatar_url(item["id"], item.get("avatar_id")),
            }
            for item in items
        ]
    )


@app.post("/user")
def create_user():
    data = request.get_json()
    name, email = data.get("name"), data.get("email")
    if not name or not email:
        return jsonify(error="Missing 'name' or 'email'"), 400

    item = {"id": str(uuid.uuid4()), "name": name, "email": email}
    table.put_item(Item=item)
    return (
        jsonify(message="User created successfully", id=item["id"], avatar_url=""),
        201,
    )


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")), threaded=True)
