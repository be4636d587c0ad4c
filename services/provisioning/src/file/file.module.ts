import { Module } from '@nestjs/common';
import { FileContentRpc } from './file-content.rpc.js';
import { FileWrites } from './file-writes.js';
import { FilesRpc } from './files.rpc.js';
import { SettleFiles } from './settle-files.job.js';
import { TenantFiles } from './tenant-files.js';

@Module({ controllers: [FilesRpc, FileContentRpc], providers: [FileWrites, TenantFiles, SettleFiles] })
export class FileModule {}
