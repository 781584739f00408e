"""Google's Gemini, as the scripted upstream speaks it."""

import base64
import json
import re

from scene import Asked, Refusal

STATES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}

WHERE = re.compile(r"/v1(?:beta)?/models/([^:/]+):(generateContent|streamGenerateContent)(\?.*)?")


def answers(path):
    return WHERE.fullmatch(path) is not None


def read(body, _headers, path):
    model, method, query = WHERE.fullmatch(path).groups()
    if method == "streamGenerateContent" and "alt=sse" not in (query or ""):
        return Refusal(400, "this upstream streams only with alt=sse")
    request = json.loads(body)
    parts = request["contents"][-1]["parts"]
    results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    config = request.get("generationConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    declared = [tool for tools in request.get("tools") or [] for tool in tools.get("functionDeclarations") or []]
    return Asked(
        body=body,
        model=model,
        said="".join(part.get("text", "") for part in parts),
        stream=method == "streamGenerateContent",
        images=[decoded(part["inlineData"]["data"]) for part in parts if "inlineData" in part],
        tools=[tool["name"] for tool in declared],
        tool_result=str(next(iter(results[0].values()))) if results else None,
        schema=lowered(schema) if config.get("responseMimeType") == "application/json" else None,
        n=config.get("candidateCount") or 1,
        logprobs=bool(config.get("responseLogprobs")),
    )


def decoded(data):
    """Bytes in either alphabet of base64; Google's own client takes the one for addresses."""
    return base64.b64decode(data.translate(str.maketrans("-_", "+/")), validate=True)


def lowered(schema):
    """A schema with the names of types as JSON Schema has them."""
    if isinstance(schema, list):
        return [lowered(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: inner.lower() if name == "type" and isinstance(inner, str) else lowered(inner)
        for name, inner in schema.items()
    }


def whole(scene, asked):
    candidates = []
    for index in range(asked.n):
        candidate = {**said(parts(scene)), "finishReason": "STOP", "index": index}
        if asked.logprobs:
            candidate["logprobsResult"] = logprobs(scene.pieces())
        candidates.append(candidate)
    return {"candidates": candidates, "usageMetadata": usage(scene), **stamp(asked)}


def parts(scene):
    found = [{"text": scene.thought, "thought": True}] if scene.thought else []
    if scene.text:
        found.append({"text": scene.text})
    return found + [called(call) for call in scene.calls]


def events(scene, asked):
    """The events of a streamed answer, one text each. Calls of tools come whole here, each in an event."""
    pieces = [{"text": scene.thought, "thought": True}] if scene.thought else []
    pieces += [{"text": piece} for piece in scene.pieces()]
    pieces += [called(call) for call in scene.calls]
    for position, piece in enumerate(pieces, start=1):
        # Each event has the counts so far; the last one's count.
        counts = usage(scene) if position == len(pieces) else {"promptTokenCount": scene.prompt_tokens}
        for index in range(asked.n):
            candidate = {**said([piece]), "index": index}
            if asked.logprobs and "text" in piece:
                candidate["logprobsResult"] = logprobs([piece["text"]])
            if position == len(pieces):
                candidate["finishReason"] = "STOP"
            yield f"data: {json.dumps({'candidates': [candidate], 'usageMetadata': counts, **stamp(asked)})}\r\n\r\n"


def error(refusal):
    told = {"code": refusal.status, "message": refusal.message, "status": STATES.get(refusal.status, "UNKNOWN")}
    if refusal.retry_after:
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{refusal.retry_after}s"}
        told["details"] = [retry]
    return {"error": told}


def key(headers):
    return headers.get("x-goog-api-key") or ""


def said(parts):
    return {"content": {"role": "model", "parts": parts}}


def called(call):
    return {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}


def logprobs(pieces):
    chosen = [{"token": piece, "tokenId": 1, "logProbability": -0.25} for piece in pieces]
    return {"chosenCandidates": chosen, "topCandidates": [{"candidates": [token]} for token in chosen]}


def stamp(asked):
    return {"modelVersion": asked.model, "responseId": "mock"}


def usage(scene):
    # Here what was thought is not part of the answer.
    return {
        "promptTokenCount": scene.prompt_tokens,
        "cachedContentTokenCount": scene.cached_tokens,
        "candidatesTokenCount": scene.output_tokens - scene.thought_tokens,
        "thoughtsTokenCount": scene.thought_tokens,
        "totalTokenCount": scene.prompt_tokens + scene.output_tokens,
    }
