// The whole cycle with the AWS SDK for JavaScript, against AWS_ENDPOINT_URL; prints what it saw as one JSON object.
// node cycle.mjs BUCKET KMS_KEY_ID FOLDER_OF_IMAGES

import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as rekognitionSdk from "@aws-sdk/client-rekognition";
import * as s3Sdk from "@aws-sdk/client-s3";

const [bucket, key, folder] = process.argv.slice(2);
const s3 = new s3Sdk.S3({});
const rekognition = new rekognitionSdk.Rekognition({});

// The message of an error that has the class and name that the SDK knows, and a request ID; any other ends the program.
async function refusal(sdk, name, call) {
  const error = await call().then(
    () => new Error(`${name}: nothing was refused`),
    (refused) => refused,
  );
  const typed = error instanceof sdk[name] && error.name === name && error.$fault === "client";
  if (!typed || !error.$metadata.requestId) throw error;
  return error.message;
}

await s3.createBucket({ Bucket: bucket });
await s3.putBucketVersioning({ Bucket: bucket, VersioningConfiguration: { Status: "Enabled" } });
const names = (await readdir(folder)).sort();
for (const name of names) {
  const path = join(folder, name);
  const { size } = await stat(path);
  await s3.putObject({ Bucket: bucket, Key: `images/${name}`, Body: createReadStream(path), ContentLength: size });
}
const lines = names.map((name) => JSON.stringify({ "source-ref": `s3://${bucket}/images/${name}` }) + "\n");
const { VersionId } = await s3.putObject({ Bucket: bucket, Key: "manifest.jsonl", Body: lines.join("") });
await s3.putObject({ Bucket: bucket, Key: "empty.jsonl", Body: "" });

const manifest = { Bucket: bucket, Name: "manifest.jsonl", Version: VersionId };
const plain = {
  OperationsConfig: { DetectModerationLabels: {} },
  Input: { S3Object: manifest },
  OutputConfig: { S3Bucket: bucket },
};
const request = {
  JobName: "whole-cycle",
  ClientRequestToken: "only-once",
  OperationsConfig: { DetectModerationLabels: { MinConfidence: 0 } },
  Input: { S3Object: manifest },
  OutputConfig: { S3Bucket: bucket, S3KeyPrefix: "out" },
  KmsKeyId: key,
};
const started = [];
for (const input of [request, plain, plain]) started.push((await rekognition.startMediaAnalysisJob(input)).JobId);
const again = (await rekognition.startMediaAnalysisJob(request)).JobId;

let job;
do {
  if (job) await pause(100);
  job = await rekognition.getMediaAnalysisJob({ JobId: started[0] });
} while (!["SUCCEEDED", "FAILED"].includes(job.Status));
const { $metadata: _, ...described } = job;

const pages = [];
for await (const page of rekognitionSdk.paginateListMediaAnalysisJobs({ client: rekognition, pageSize: 2 }, {})) {
  pages.push(page.MediaAnalysisJobs.map((listed) => listed.JobId));
}

async function read({ S3Object: { Bucket, Name, Version } }) {
  const { Body } = await s3.getObject({ Bucket, Key: Name, VersionId: Version });
  return Body.transformToString();
}

const detect = (Image) => rekognition.detectModerationLabels({ Image, MinConfidence: 0 });
const byBytes = await detect({ Bytes: await readFile(join(folder, "0.jpg")) });
const byPlace = await detect({ S3Object: { Bucket: bucket, Name: "images/0.jpg" } });

const start = (more) => rekognition.startMediaAnalysisJob({ ...plain, ...more });
const elsewhere = (Name) => start({ Input: { S3Object: { Bucket: bucket, Name } } });
const refused = {
  IdempotentParameterMismatchException: () => rekognition.startMediaAnalysisJob({ ...request, JobName: "another" }),
  InvalidImageFormatException: async () => detect({ Bytes: await readFile(join(folder, "no-image.jpg")) }),
  InvalidManifestException: () => elsewhere("empty.jsonl"),
  InvalidPaginationTokenException: () => rekognition.listMediaAnalysisJobs({ NextToken: "nonsense" }),
  InvalidParameterException: () => start({ OperationsConfig: { DetectModerationLabels: { MinConfidence: 101 } } }),
  InvalidS3ObjectException: () => elsewhere("gone.jsonl"),
  ResourceNotFoundException: () => rekognition.getMediaAnalysisJob({ JobId: "unknown" }),
};
const messages = {};
for (const [name, call] of Object.entries(refused)) messages[name] = await refusal(rekognitionSdk, name, call);
messages.NoSuchKey = await refusal(s3Sdk, "NoSuchKey", () => s3.getObject({ Bucket: bucket, Key: "gone.jsonl" }));

const seen = {
  started,
  again,
  job: described,
  pages,
  results: await read(job.Results),
  summary: await read(job.ManifestSummary),
  by_bytes: byBytes.ModerationLabels,
  by_place: byPlace.ModerationLabels,
  messages,
};
process.stdout.write(JSON.stringify(seen));
