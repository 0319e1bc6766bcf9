/* Our parser beside libosip2 and Sofia-SIP; being written. */
