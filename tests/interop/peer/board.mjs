// bull-board's own server, on a free port of this machine.
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express from 'express';

class Board {
  constructor(server) {
    this.server = server;
  }

  get port() {
    return this.server.address().port;
  }

  close() {
    return new Promise((resolve, reject) => {
      this.server.close(error => (error ? reject(error) : resolve()));
      this.server.closeAllConnections(); // a kept-alive connection of the test's client would hold `close` back
    });
  }
}

export async function startBoard(session, { prefix, queues }) {
  if (session.board) {
    throw new Error(`a board is already running on port ${session.board.port}`);
  }
  const serverAdapter = new ExpressAdapter();
  createBullBoard({ queues: queues.map(queue => new BullMQAdapter(session.queue({ prefix, queue }))), serverAdapter });
  const app = express();
  app.use('/', serverAdapter.getRouter());
  session.board = await new Promise((resolve, reject) => {
    const server = app.listen(0, '127.0.0.1', error => (error ? reject(error) : resolve(new Board(server))));
  });
  return session.board.port;
}
