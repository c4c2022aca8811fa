//! The Node.js addon: conversion and error mapping, nothing else.
