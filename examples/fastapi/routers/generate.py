"""Writing: at once, or in the background after the request has ended."""

import logging
import uuid
from typing import Dict

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException
from pydantic import BaseModel

from auth import get_current_user
from services.blog_service import generate_blog

router = APIRouter(prefix="/api")
log = logging.getLogger(__name__)

# One process's memory is enough for an example; use your job queue.
jobs: Dict[str, dict] = {}


class Topic(BaseModel):
    topic: str


# `def`, not `async def`: FastAPI runs it in a thread, where waiting for the database
# and the provider holds up nobody.
@router.post("/generate")
def generate(topic: Topic, current_user: dict = Depends(get_current_user)):
    user_id = current_user.get("user_id")
    return {"text": generate_blog(user_id, topic.topic)}


@router.post("/jobs", status_code=202)
def start_job(topic: Topic, tasks: BackgroundTasks, current_user: dict = Depends(get_current_user)):
    job_id = uuid.uuid4().hex
    jobs[job_id] = {"user_id": current_user["user_id"], "state": "waiting", "text": None}
    tasks.add_task(run_job, job_id, topic.topic)
    return {"job_id": job_id}


def run_job(job_id: str, topic: str) -> None:
    """Takes the user's id along, not the key: it is looked up when the job needs it."""
    job = jobs[job_id]
    try:
        job["text"] = generate_blog(job["user_id"], topic)
        job["state"] = "done"
    except Exception as error:
        log.error("job %s failed: %s: %s", job_id, type(error).__name__, error)
        job["state"] = "failed"


@router.get("/jobs/{job_id}")
def get_job(job_id: str, current_user: dict = Depends(get_current_user)):
    job = jobs.get(job_id)
    if job is None or job["user_id"] != current_user["user_id"]:
        raise HTTPException(404, "There is no such job.")
    return {"state": job["state"], "text": job["text"]}
