"""Writing: at once, or in the background after the request has ended."""

import logging
import uuid
from typing import Dict

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException
from pydantic import BaseModel

from auth import get_current_user
from services.blog_service import generate_blog
from tokens import sign

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
    return {"text": generate_blog(current_user["token"], topic.topic)}


@router.post("/jobs", status_code=202)
def start_job(topic: Topic, tasks: BackgroundTasks, current_user: dict = Depends(get_current_user)):
    job_id = uuid.uuid4().hex
    jobs[job_id] = {"user_id": current_user["user_id"], "state": "waiting", "text": None}
    tasks.add_task(run_job, job_id, topic.topic)
    return {"job_id": job_id}


def run_job(job_id: str, topic: str) -> None:
    """Takes the user's id along, neither the key nor the user's token, which may expire meanwhile.

    The job's own token is signed when it starts, for as long as it may take.  Where you
    want no signing key in the backend, run jobs on connections of another role, at level
    `service`, with set_config('key_vault.user_id', %s, true) instead of authenticate():
    SQL injected into those reaches every user's keys.
    """
    job = jobs[job_id]
    try:
        job["text"] = generate_blog(sign(job["user_id"], seconds=300), topic)
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
